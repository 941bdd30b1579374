"""The network of an architecture as programs, and its compiled kernels' source, printed from their derivations.

A kernel serves all architectures of one depth and activation: hidden widths are sizes it is given, since compiling
one for each width would cost seconds and gains nothing; a single input or output is written into it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from mlpreport.derivation import Derivation, trace
from mlpreport.derivation.pointwise import Body, pointwise
from mlpreport.training.architecture import Architecture

Size = str | int
Shapes = dict[str, tuple[Size, Size]]


def sizes_of(architecture: Architecture) -> tuple[Size, ...]:
    """Sizes of the layers as programs name them: a number for a single input or output, else a name."""
    first, *hidden, last = architecture.sizes
    ends = (1 if first == 1 else "D", 1 if last == 1 else "C")
    return (ends[0], *(f"H{layer}" for layer in range(1, len(hidden) + 1)), ends[1])


def network_text(architecture: Architecture) -> str:
    """Forward program of a network: z1 = x @ W1 + b1, h1 = activation(z1), …, r = output - y."""
    layers, before, lines = len(architecture.sizes) - 1, "x", []
    for layer in range(1, layers + 1):
        lines.append(f"z{layer} = {before} @ W{layer} + b{layer}")
        if layer < layers:
            before = f"h{layer}"
            lines.append(f"{before} = {architecture.activation}(z{layer})")
    return "\n".join([*lines, f"r = z{layers} - y"])


def parameter_sizes(architecture: Architecture) -> Shapes:
    """Shapes of W1, b1, W2, … in programs."""
    sizes, shapes = sizes_of(architecture), Shapes()
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
        shapes |= {f"W{layer}": (fan_in, fan_out), f"b{layer}": (1, fan_out)}
    return shapes


def objective(architecture: Architecture) -> Derivation:
    """Derive the gradient of the mean squared error plus the penalty."""
    parameters, sizes = parameter_sizes(architecture), sizes_of(architecture)
    penalty = " + ".join(f"sum({name}**2)" for name in parameters)
    source = f"{network_text(architecture)}\nl = mean(r**2) + decay * ({penalty})"
    points: Shapes = {"x": ("N", sizes[0]), "y": ("N", sizes[-1]), "decay": (1, 1)}
    return _derived(source, points, parameters)


def residual(architecture: Architecture) -> Derivation:
    """Derive the gradient of one output's error at one point, which the unit row e, scaled, chooses."""
    parameters, sizes = parameter_sizes(architecture), sizes_of(architecture)
    source = f"{network_text(architecture)}\nl = sum(r * e)"
    point: Shapes = {"x": (1, sizes[0]), "y": (1, sizes[-1]), "e": (1, sizes[-1])}
    return _derived(source, point, parameters)


def _derived(source: str, points: Shapes, parameters: Shapes) -> Derivation:
    derivation = trace(source, assume=(), **points, **parameters).vjp()
    return replace(derivation, results={name: derivation.results[name] for name in parameters})


def kernels_source(architecture: Architecture) -> str:
    """Python source of the functions `forward`, `objective` and `residuals`, and of `rows`, of their workspace.

    Parameters are flat; `problem` is the tuple of sizes, inputs (size, point), targets, penalty and workspace.
    """
    single = ("e",) if architecture.sizes[-1] == 1 else ()
    point = residual(architecture)
    layers = {name: name for name in point.program.definitions if name.startswith("h")}
    units = replace(point, value=f"z{len(architecture.sizes) - 1}", results=layers)
    whole = objective(architecture)
    gradient = pointwise(whole, differing=("x", "y"), scalars=("decay",))
    jacobian = pointwise(point, differing=("x", "y"), scalars=single, chosen="e")
    values = pointwise(units, differing=("x", "y"))
    rows = ", ".join(body.rows for body in (gradient, jacobian, values))
    cotangents = _cotangents(gradient, whole), _cotangents(jacobian, point)
    functions = {
        "forward(parameters, problem, values)": _forward(architecture, values, units),
        "objective(parameters, problem, gradient)": _objective(architecture, gradient, cotangents[0]),
        "residuals(parameters, problem, residuals, jacobian)": _residuals(
            architecture, jacobian, cotangents[1]
        ),
        "rows(sizes)": [*_sizes(architecture, values.names), f"return max({rows})"],
    }
    texts = [
        f"def {name}:\n" + "\n".join(f"    {line}" for line in lines) for name, lines in functions.items()
    ]
    helpers = {**gradient.helpers, **jacobian.helpers, **values.helpers}.values()
    return "\n\n\n".join(["import math\n\nimport numpy as np", *helpers, *texts]) + "\n"


def _unpacked(architecture: Architecture, names: Mapping[str, str]) -> Iterator[str]:
    yield f"sizes, {names['x']}, {names['y']}, {names.get('decay', '_')}, work = problem"
    yield f"{names['size N']} = {names['x']}.shape[1]"
    yield from _sizes(architecture, names)
    yield from _split(
        architecture, "parameters", {name: names[name] for name in parameter_sizes(architecture)}, names
    )


def _sizes(architecture: Architecture, names: Mapping[str, str]) -> Iterator[str]:
    for layer, size in enumerate(sizes_of(architecture)):
        if isinstance(size, str):
            yield f"{names[f'size {size}']} = sizes[{layer}]"


def _split(
    architecture: Architecture, array: str, targets: Mapping[str, str], names: Mapping[str, str]
) -> Iterator[str]:
    """Give every weight and bias its part of a flat array, or of the rows of a Jacobian."""
    start = "0"
    for key, (rows, columns) in parameter_sizes(architecture).items():
        shape = [str(names.get(f"size {size}", size)) for size in (rows, columns)]
        stop = f"{start} + {'*'.join(shape)}"
        points = [names["size N"]] * (array not in {"parameters", "gradient"})
        shape = shape[1:] if points and rows == 1 else shape
        yield f"{targets[key]} = {array}[{start}:{stop}].reshape({', '.join([*shape, *points])})"
        start = stop


def _cotangents(body: Body, derivation: Derivation) -> dict[str, str]:
    return {name: body.names[result] for name, result in derivation.results.items()}


def _objective(architecture: Architecture, body: Body, targets: Mapping[str, str]) -> Iterator[str]:
    yield from _unpacked(architecture, body.names)
    yield from _split(architecture, "gradient", targets, body.names)
    yield from body.once
    yield f"return {body.names['l']}"


def _residuals(architecture: Architecture, body: Body, targets: Mapping[str, str]) -> Iterator[str]:
    """Print the loop over outputs: value and gradient of each one's error, over all points."""
    names = body.names
    yield from _unpacked(architecture, names)
    yield from body.once
    yield f"scale = 1 / math.sqrt({names['y']}.size)"
    yield f"for output in range({names['y']}.shape[0]):"
    lines = [f"{names['e']} = scale"]
    if architecture.sizes[-1] != 1:
        lines = [f"{names['e']} = np.zeros((1, {names['y']}.shape[0]))", f"{names['e']}[0, output] = scale"]
    lines += [f"{names['l']} = residuals[output:output + 1]"]
    lines += _split(architecture, "jacobian[output]", targets, names)
    yield from (f"    {line}" for line in [*lines, *body.again])


def _forward(architecture: Architecture, body: Body, units: Derivation) -> Iterator[str]:
    yield from _unpacked(architecture, body.names)
    start = "0"
    for layer, name in enumerate([*units.results, units.value], start=1):
        stop = f"{start} + sizes[{layer}]"
        yield f"{body.names[name]} = values[{start}:{stop}]"
        start = stop
    yield from body.once
