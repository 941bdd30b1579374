"""SciPy's optimisers: the report's BFGS with torch's gradient, and L-BFGS-B with the compiled one.

torch and SciPy are imported only when one of these methods is asked for.
"""

import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float64

from mlpreport.derivation.elementwise import BUILT_IN, U, elementwise
from mlpreport.derivation.stable import python_code, stable
from mlpreport.training.problem import Problem
from mlpreport.training.settings import Advance, Counts, Minimiser, Rows, Settings
from mlpreport.training.stopping import CONVERGED, ITERATION_LIMIT, NOT_FINITE, STALLED

Vector = Float64[np.ndarray, " parameter"]
Objective = Callable[[Vector], tuple[float, Vector]]

CODES = {0: CONVERGED, 1: ITERATION_LIMIT, 2: STALLED, 3: NOT_FINITE}
"""Stop code for each status of SciPy's BFGS and L-BFGS-B."""

TORCH_HAS = ("sigmoid", "tanh", "relu", "gelu")
"""Built-in functions that are torch's own, too; its softplus is linear beyond 20."""


def bfgs_minimiser(problem: Problem, settings: Settings) -> Minimiser:
    """Return the report's way: SciPy's BFGS with torch's gradient."""
    options = {"gtol": settings.gradient_tolerance, "maxiter": settings.max_iterations}
    return partial(_minimise, torch_objective(problem), "BFGS", options)


def l_bfgs_minimiser(problem: Problem, settings: Settings) -> Minimiser:
    """Return SciPy's L-BFGS-B with the compiled gradient."""
    options = {
        "gtol": settings.gradient_tolerance,
        "ftol": settings.decrement_tolerance,
        "maxiter": settings.max_iterations,
        # A limit on evaluations would end a restart before its limit on iterations.
        "maxfun": 100 * settings.max_iterations,
    }
    return partial(_minimise, compiled_objective(problem), "L-BFGS-B", options)


def _minimise(
    objective: Objective, method: str, options: dict[str, float], rows: Rows, advance: Advance
) -> tuple[Counts, Counts]:
    from scipy.optimize import minimize  # noqa: PLC0415 - see the module's docstring

    iterations, codes = np.zeros(len(rows), np.int64), np.full(len(rows), ITERATION_LIMIT, np.int64)
    # SciPy's L-BFGS-B would take one step where none is allowed.
    for index, row in enumerate(rows if options["maxiter"] else rows[:0]):
        # The stop reason tells what SciPy's and NumPy's warnings would.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = minimize(objective, row, jac=True, method=method, options=options)
        row[:] = result.x
        iterations[index], codes[index] = result.nit, _code(result, options)
        advance(1)
    return iterations, codes


def _code(result: Any, options: dict[str, float]) -> int:
    if not np.isfinite(result.fun):
        return NOT_FINITE
    code = CODES[result.status]
    # SciPy calls it success, too, when a step no longer changes the loss.
    converged = options.get("ftol") or np.abs(result.jac).max() <= options["gtol"]
    return code if code != CONVERGED or converged else STALLED


def compiled_objective(problem: Problem) -> Objective:
    """Return the compiled objective with its gradient as a Python function."""
    from mlpreport.training.compilation import compiled_network  # noqa: PLC0415 - numba takes 0.3 s to import

    function, arguments = compiled_network("objective", problem.architecture), problem.for_kernels()

    def objective(flat: Vector) -> tuple[float, Vector]:
        gradient = np.empty_like(flat)
        return function(flat, arguments, gradient), gradient

    return objective


def torch_objective(problem: Problem) -> Objective:
    """Return the objective with torch's gradient as a Python function."""
    import torch  # noqa: PLC0415 - see the module's docstring

    x, y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
    activation = _torch_activation(problem.architecture.activation)
    sizes = problem.architecture.sizes
    ends = np.cumsum([np.prod(shape) for shape in problem.architecture.parameter_shapes.values()])[
        :-1
    ].tolist()

    def objective(flat: Vector) -> tuple[float, Vector]:
        parameters = torch.tensor(flat, requires_grad=True)
        pieces = torch.tensor_split(parameters, ends)
        values = x
        for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            values = values @ pieces[2 * layer].reshape(fan_in, fan_out) + pieces[2 * layer + 1]
            values = activation(values) if layer < len(sizes) - 2 else values
        loss = (values - y).square().mean() + problem.weight_decay * parameters.square().sum()
        (gradient,) = torch.autograd.grad(loss, parameters)
        return loss.item(), gradient.numpy()

    return objective


def _torch_activation(name: str) -> Callable[[Any], Any]:
    import torch  # noqa: PLC0415 - see the module's docstring

    # A registered function may have the name of another one of torch's.
    if name in TORCH_HAS and elementwise(name) == BUILT_IN[name]:
        function: Callable[[Any], Any] = getattr(torch.nn.functional, name)
        return function
    return _derived_activation(name)


def _derived_activation(name: str) -> Callable[[Any], Any]:
    """Make a torch function of a registered function, with the derived slope."""
    import torch  # noqa: PLC0415 - see the module's docstring

    function, scope = elementwise(name), dict[str, Any](torch=torch)
    for part, formula in (("value", function.expression), ("slope", function.derivative)):
        text = f"def {part}(u):\n{python_code(stable(formula, U), 'torch')}"
        exec(text, scope)  # noqa: S102 - the source was generated from the SymPy expression
    value, slope = scope["value"], scope["slope"]

    class Derived(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, values: Any) -> Any:
            context.save_for_backward(values)
            return value(values)

        @staticmethod
        def backward(context: Any, cotangent: Any) -> Any:
            return cotangent * slope(*context.saved_tensors)

    return Derived.apply
