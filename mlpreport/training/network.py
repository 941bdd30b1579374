"""The network of an architecture as programs, and its compiled kernels' source, printed from their derivations.

A kernel serves all architectures of one depth and activation: hidden widths are sizes it is given, since compiling
one for each width would cost seconds and gains nothing; a single input or output is written into it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from mlpreport.derivation import Derivation, trace
from mlpreport.derivation.loops import RESERVED
from mlpreport.derivation.pointwise import KERNEL_NAMES, Body, pointwise
from mlpreport.errors import InvalidInputError
from mlpreport.training.architecture import Architecture

OWN = frozenset({*RESERVED, *KERNEL_NAMES, "N", "_", "residuals"}) - {"abs"}  # of lanes it is lanes.absolute
NUMBERED = re.compile(r"[kt]\d+")
"""Names in kernels that no activation can have beside them, those of indices and parts by their form."""

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
    """Python source of `forward`, `objective` and `residuals`, and of `room`, which tells the size of their workspace.

    Parameters are flat; `problem` is the tuple of sizes, number of points, inputs (size, point), targets, penalty and
    two workspaces, the first of rows of points; rows have room for whole lanes of points.
    """
    if architecture.activation in OWN or NUMBERED.fullmatch(architecture.activation):
        message = (
            f"activation {architecture.activation!r} is a name in compiled kernels; register it under another"
        )
        raise InvalidInputError(message)
    texts, helpers, bodies = [], dict[str, str](), []
    for text, body in (_forward(architecture), _objective(architecture), _residuals(architecture)):
        texts.append(text)
        helpers |= body.helpers
        bodies.append(body)
    rows, entries = ", ".join(body.rows for body in bodies), ", ".join(body.entries for body in bodies)
    room = [*_sizes(architecture, body.names), f"return max({rows}), max({entries})"]
    texts.append(_function("room(sizes)", room))
    return "\n\n\n".join(["import math\n\nimport numpy as np", *helpers.values(), *texts]) + "\n"


def _function(signature: str, lines: Iterable[str]) -> str:
    return f"def {signature}:\n" + "\n".join(f"    {line}" for line in lines)


def _parts(architecture: Architecture, derivation: Derivation, array: str) -> dict[str, str]:
    """Tell that parameters are parts of one array, and the results of another."""
    parameters = dict.fromkeys(parameter_sizes(architecture), "parameters[")
    return parameters | dict.fromkeys(derivation.results.values(), array)


def _unpacked(architecture: Architecture, body: Body, results: Mapping[str, str]) -> Iterator[str]:
    """Print what comes first: sizes, and where each parameter and its result start in flat arrays."""
    names, start = body.names, "0"
    yield f"sizes, {names['size N']}, {names['x']}, {names['y']}, {names.get('decay', '_')}, work, space = problem"
    yield from _sizes(architecture, names)
    for key, shape in parameter_sizes(architecture).items():
        yield f"{names[key]} = {start}"
        if key in results:
            yield f"{names[results[key]]} = {names[key]}"
        start = " + ".join([names[key], "*".join(str(names.get(f"size {size}", size)) for size in shape)])


def _sizes(architecture: Architecture, names: Mapping[str, str]) -> Iterator[str]:
    for layer, size in enumerate(sizes_of(architecture)):
        if isinstance(size, str):
            yield f"{names[f'size {size}']} = sizes[{layer}]"


def _objective(architecture: Architecture) -> tuple[str, Body]:
    derivation = objective(architecture)
    parts = _parts(architecture, derivation, "gradient[")
    body = pointwise(derivation, differing=("x", "y"), scalars=("decay",), parts=parts)
    lines = [*_unpacked(architecture, body, derivation.results), *body.once, f"return {body.names['l']}"]
    return _function("objective(parameters, problem, gradient)", lines), body


def _residuals(architecture: Architecture) -> tuple[str, Body]:
    """Print the loop over outputs: gradient and, behind it, value of each one's error, over all points."""
    derivation, single = residual(architecture), architecture.sizes[-1] == 1
    parts = _parts(architecture, derivation, "system[output, ") | {"l": "system[output, "}
    scalars = ("e",) if single else ()
    body = pointwise(derivation, differing=("x", "y"), scalars=scalars, parts=parts, chosen="e")
    e, y = body.names["e"], body.names["y"]
    chosen = [f"{e} = scale"] if single else [f"{e} = np.zeros((1, {y}.shape[0]))", f"{e}[0, output] = scale"]
    lines = [
        *_unpacked(architecture, body, derivation.results),
        *body.once,
        f"scale = 1 / math.sqrt({y}.shape[0] * {body.names['size N']})",
        f"for output in range({y}.shape[0]):",
        *(f"    {line}" for line in [*chosen, f"{body.names['l']} = parameters.size", *body.again]),
    ]
    return _function("residuals(parameters, problem, system)", lines), body


def _forward(architecture: Architecture) -> tuple[str, Body]:
    """Print the values of all layers, which are asked for in place of cotangents."""
    point = residual(architecture)
    layers = {name: name for name in point.program.definitions if name.startswith("h")}
    units = replace(point, value=f"z{len(architecture.sizes) - 1}", results=layers)
    parts = _parts(architecture, units, "values[") | {units.value: "values["}
    body = pointwise(units, differing=("x", "y"), parts=parts)
    lines, start = [*_unpacked(architecture, body, {})], "0"
    for layer, name in enumerate([*layers, units.value], start=1):
        lines.append(f"{body.names[name]} = {start}")
        start = f"{body.names[name]} + sizes[{layer}]"
    return _function("forward(parameters, problem, values)", [*lines, *body.once]), body
