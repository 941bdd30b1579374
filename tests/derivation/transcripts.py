"""What the room prints, in full, for three programs; run this file to print it anew, and proof-read the difference."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import sympy as sp
from derivation.programs import NETWORK, NETWORK_SHAPES

from mlpreport.derivation import (
    elementwise_names,
    register_elementwise,
    scalar_source,
    trace,
    value_and_grad,
)
from mlpreport.derivation.pointwise import loops_of
from mlpreport.derivation.writing import written

FOLDER = Path(__file__).with_suffix("")
PROGRAMS = {
    "report": (NETWORK, NETWORK_SHAPES, ()),
    "softmax": (
        "p = softmax(x @ W)\nl = -mean(sum(y*log(p), axis=1))",
        {"x": ("N", "D"), "W": ("D", "C"), "y": ("N", "C")},
        "rows_sum_to_one:y",
    ),
    "mixture": (
        """c = x - mean(x, axis=1)
r = (mean(c**2, axis=1) + 1)**0.5
a = relu(c / r) + u * 0
unused = tanh(u)
l = sum(a * w.T) - sum(exp(-x))**3 + 2*log(N)""",
        {"x": ("N", "D"), "w": ("D", 1), "u": ("N", "D")},
        (),
    ),
}


LOSSES = (
    "l = 2*sum(x) + 1",
    "h = 2*(x @ W) - 1\nl = sum(h)",
    "l = sum(x*x)*s/2 - sum(x)",
    "l = log(sum(exp(x)))",
    "l = sum(log(sum(exp(x), axis=0))) + log(N)",
    "l = sum(softmax(x)**2)",
    "l = sum(sum(x, axis=0)*v.T)",
    "h = 1/(1+exp(-x))\nl = mean(h * tanh(x))",
)

FUNCTIONS = {
    "swish": lambda u: u / (1 + sp.exp(-u)),
    "leaky": lambda u: sp.Piecewise((0.01 * u, u <= 0), (u, True)),
    "bell": lambda u: sp.exp(-(u**2)),
    "pole": lambda u: 1 / (2 - sp.exp(u)),
    "wave": lambda u: sp.exp(sp.sin(u)),
    "reciprocal": lambda u: sp.exp(1 / (2 + u**2)),
    "root": lambda u: sp.sqrt(1 + u**2) - 1,
    "logsigmoid": lambda u: sp.log(1 / (1 + sp.exp(-u))),
    "logrest": lambda u: sp.log(1 - 1 / (1 + sp.exp(-u))),
    "window": lambda u: sp.Piecewise((u**2, (u > -1) & (u < 1)), (sp.Abs(u), True)),
    "gate": lambda u: u + sp.Piecewise((0, u < 0), (u**2, True)),
    "large": lambda u: u * 2**60 + sp.Rational(1, 3),
    "mish": lambda u: u * sp.tanh(sp.log(1 + sp.exp(u))),
    "numbers": lambda u: sp.E * u + sp.pi + sp.exp(1 + u),
}


@cache
def derived(name):
    """Derivation of one of the programs."""
    source, shapes, assume = PROGRAMS[name]
    return trace(source, assume=assume, **shapes).vjp()


def steps(name, form):
    """All steps, as `mlpreport derive` writes them."""
    return "\n\n".join(written(derived(name), variable, form) for variable, _ in derived(name).items()) + "\n"


def tangents(name):
    """All lines of the forward derivation, and a Jacobian between the ends."""
    program = derived(name).program
    lines = [f"{v}: {line.rule}: {line.because}" for v, step in program.jvp().items() for line in step.lines]
    first, *_ = program.inputs
    ends = program.jacobian(program.loss, first), program.jacobian(first, program.loss)
    return "\n".join([*lines, *(line._repr_markdown_() for line in ends)])


def curvature(source):
    """The code of a Hessian-vector product and of a tangent."""
    program = trace(source, x=("N", "D"), w=("D", 1))
    return "\n".join(value_and_grad(derivation).source for derivation in (program.hvp("w"), program.jvp()))


def loops(*sources):
    """Loops that compute losses alone."""
    shapes = {"x": ("N", "D"), "W": ("D", "H"), "v": ("D", 1), "s": (1, 1)}
    derivations = [replace(trace(source, **shapes).vjp(), results={}) for source in sources]
    return "\n".join(f"# {source!r}\n{loops_of(d)}" for source, d in zip(sources, derivations, strict=True))


def scalars():
    """The scalar code of all functions, those that come built in and a reader's."""
    for name, definition in FUNCTIONS.items():
        register_elementwise(name, definition)
    return "\n".join(f"# {name}\n{scalar_source(name)}" for name in elementwise_names())


TRANSCRIPTS = {
    "scalars.txt": (scalars,),
    **{f"{name}.txt": (steps, name, "text") for name in PROGRAMS},
    "report.tex.txt": (steps, "report", "latex"),
    "mixture.md.txt": (steps, "mixture", "markdown"),
    "softmax.tangents.txt": (tangents, "softmax"),
    "curvature.numpy.txt": (curvature, "h = tanh(x @ w)\nl = sum(h**2)/N"),
    "report.numpy.txt": (lambda name: value_and_grad(derived(name)).source, "report"),
    "mixture.numpy.txt": (lambda name: value_and_grad(derived(name)).source, "mixture"),
    "softmax.torch.txt": (lambda name: value_and_grad(derived(name), "torch").source, "softmax"),
    "losses.numba.txt": (loops, *LOSSES),
    "softmax.numba.txt": (lambda name: loops_of(derived(name)), "softmax"),
}


def transcript(name):
    """Print one transcript."""
    function, *arguments = TRANSCRIPTS[name]
    return function(*arguments)


if __name__ == "__main__":
    for name in TRANSCRIPTS:
        (FOLDER / name).write_text(transcript(name), "utf-8")
