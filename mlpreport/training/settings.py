"""What a caller may set, and what every training method is given and gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypedDict

import numpy as np
from jaxtyping import Float64, Int64

from mlpreport.checks import POSITIVE, checked_number, checked_whole, nearest
from mlpreport.errors import InvalidInputError

Rows = Float64[np.ndarray, "restart parameter"]
"""Parameters of each restart, flattened in the order W1, b1, W2, …"""

Counts = Int64[np.ndarray, " restart"]
"""Iterations or stop codes of each restart."""

Advance = Callable[[int], None]
"""Is told the number of restarts just finished."""

Minimiser = Callable[[Rows, Advance], tuple[Counts, Counts]]
"""Trains each row in place; returns iterations and stop codes."""


class Options(TypedDict, total=False):
    """What `fit` may be told besides; None means the method's own value.

    Attributes
    ----------
    max_iterations
        At most so many iterations of a restart. None: 10 000 as in the report; 1000 for 'levenberg-marquardt'.
    gradient_tolerance
        A restart has converged when no entry of the gradient is larger. None: the report's 1e-6.
    decrement_tolerance
        A restart has converged, too, when the method's model predicts a relative decrease of the objective of at
        most this for the best step in the direction taken; that damping shortens a step does not count. None: 1e-9
        for 'levenberg-marquardt', else 0, that is, never. 'l-bfgs' passes it to SciPy as `ftol`; 'scipy-bfgs', 'adam'
        and 'gradient-descent' have no such rule.
    learning_rate
        Step of 'adam' (None: 0.01) and 'gradient-descent' (None: 0.1); the others find their own.
    first_damping
        First damping of 'levenberg-marquardt', as a factor of the normal matrix's largest diagonal entry. None: 1e-2.
    weight_decay
        Factor of the squared norm of all parameters that is added to the mean squared error. None: 0.
    threads
        How many threads share the restarts; the result does not depend on it. None: one for each core.
    """

    max_iterations: int | None
    gradient_tolerance: float | None
    decrement_tolerance: float | None
    learning_rate: float | None
    first_damping: float | None
    weight_decay: float | None
    threads: int | None


@dataclass(frozen=True)
class Settings:
    """Every option with its value, checked; threads stays None for one to each core."""

    max_iterations: int = 10_000
    gradient_tolerance: float = 1e-6
    decrement_tolerance: float = 0.0
    learning_rate: float = 0.0
    first_damping: float = 1e-2
    weight_decay: float = 0.0
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        # Compiled methods are given it as a float64, which holds no larger whole number exactly.
        checked_whole("max_iterations", self.max_iterations, range(2**53 + 1))
        if self.threads is not None:
            checked_whole("threads", self.threads, POSITIVE)
        for name in ("gradient_tolerance", "decrement_tolerance", "learning_rate", "weight_decay"):
            checked_number(name, getattr(self, name), example=1e-6)
        checked_number("first_damping", self.first_damping, example=1e-2, positive=True)


def with_options(settings: Settings, options: Mapping[str, Any]) -> Settings:
    """Return the settings with these options in their place; those that are None change nothing."""
    known = {field.name for field in fields(Settings)}
    for name in options.keys() - known:
        hint = nearest(name, known) or "leave it out"
        message = (
            f"{name} = {options[name]!r}: fit has no such option (known: {', '.join(sorted(known))}); {hint}"
        )
        raise InvalidInputError(message)
    return replace(settings, **{name: value for name, value in options.items() if value is not None})
