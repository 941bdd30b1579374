"""Bodies of kernels, run as Python, compute what autograd computes, with the points on the last axis."""

from dataclasses import replace

import numpy as np
import pytest
from derivation.oracle import autograd, draw, error

from mlpreport.derivation import trace
from mlpreport.derivation.pointwise import pointwise
from mlpreport.errors import ProgramError

SIZES = {"N": 4, "D": 3, "H": 2, "C": 2}
PARAMETERS = {"W": ("D", "H"), "b": (1, "H"), "V": ("H", "C")}
ROWS = {"row_product": lambda a, b, n: a[:n] @ b[:n], "row_total": lambda a, n: a[:n].sum()}
BLOCKS = {
    "LANES": 3,
    "lanes": np,
    "load": lambda row, n: row[n : n + 3],
    "store": lambda row, n, values: row.__setitem__(slice(n, n + 3), values),
    "sum_of": np.sum,
    "first": lambda count, values: np.where(np.arange(3) < count, values, 0),
}
"""What kernels call: three points at once."""
NETWORK = "h = tanh(x @ W + b)\nr = h @ V - y\n"


def of_parameters(source, **inputs):
    derivation = trace(source, **inputs, **PARAMETERS).vjp()
    return replace(derivation, results={name: derivation.results[name] for name in PARAMETERS})


def run(body, lines, results, inputs):
    """Run lines of a body; the parameters and their results are parts of two flat arrays."""
    names, starts, start = body.names, {}, 0
    for name in PARAMETERS:
        starts |= {names[name]: start, names[results[name]]: start}
        start += inputs[name].size
    sizes = {names[f"size {size}"]: n for size, n in SIZES.items() if f"size {size}" in names}
    scope = {"np": np, "N": 4, **ROWS, **BLOCKS, **starts, **sizes}
    exec("import math\n" + "\n".join(body.helpers.values()), scope)
    parameters = np.concatenate([inputs[name].ravel() for name in PARAMETERS])
    scope |= {"parameters": parameters, "gradient": np.full(start, np.nan)}
    scope |= {"jacobian": np.full((start, 6), np.nan), "values": np.full((1, 6), np.nan)}
    scope |= {names[name]: np.pad(inputs[name].T, ((0, 0), (0, 2))) for name in ("x", "y")}
    scope |= {names[name]: inputs[name] for name in ("e", "decay") if name in inputs}
    # Rows of the workspace, and of points, are longer than there are points.
    space = f"work, space = np.full(({body.rows}, 6), np.nan), np.full({body.entries}, np.nan)"
    exec("\n".join([space, *lines]), scope)
    return scope


LOSSES = (
    "mean(r**2) + decay*sum(W**2) + 0.5*mean(x @ W)",
    "sum(r * r * r) + decay*sum(W)",
    "sum((r * decay)**2) + sum((r - 1)**4)",
)


def check_body_for_all_points(source, *, within):
    """Compare value and gradient of a body for all points with autograd's; return the body."""
    derivation = of_parameters(source, x=("N", "D"), y=("N", "C"), decay=(1, 1))
    parts = dict.fromkeys(PARAMETERS, "parameters[") | dict.fromkeys(derivation.results.values(), "gradient[")
    body = pointwise(derivation, differing=("x", "y"), scalars=("decay",), parts=parts)
    inputs = draw(derivation.program, **SIZES)
    scope = run(body, body.once, derivation.results, inputs | {"decay": inputs["decay"].item()})
    value, grads = autograd(source, SIZES, **inputs)
    assert scope[body.names["l"]] == pytest.approx(value, rel=within)
    expected = np.concatenate([grads[name].ravel() for name in PARAMETERS])
    assert error(scope["gradient"], expected) < within
    return body


@pytest.mark.parametrize("loss", LOSSES)
def test_the_body_for_all_points_agrees_with_autograd(loss):
    assert not check_body_for_all_points(f"{NETWORK}l = {loss}", within=1e-14).again


@pytest.mark.parametrize("name", ["r", "N", "n", "i", "work", "exponential"])
def test_the_body_for_one_point_gives_every_points_jacobian(name):
    source = NETWORK.replace("r =", f"{name} =") + f"l = sum({name} * e)"
    derivation = of_parameters(source, x=(1, "D"), y=(1, "C"), e=(1, "C"))
    parts = dict.fromkeys(PARAMETERS, "parameters[") | dict.fromkeys(derivation.results.values(), "jacobian[")
    body = pointwise(derivation, differing=("x", "y"), parts=parts | {"l": "values["}, chosen="e")
    assert body.again
    inputs = draw(derivation.program, **SIZES)
    points = draw(trace("l = sum(x) + sum(y)", x=("N", "D"), y=("N", "C")), seed=2, **SIZES)
    scope = run(
        body, [f"{body.names['l']} = 0", *body.once, *body.again], derivation.results, inputs | points
    )
    for n in range(4):
        one = inputs | {name: points[name][n : n + 1] for name in points}
        value, grads = autograd(source, SIZES, **one)
        assert scope["values"][0, n] == pytest.approx(value, rel=1e-13)
        expected = np.concatenate([grads[name].ravel() for name in PARAMETERS])
        assert error(scope["jacobian"][:, n], expected) < 1e-13


DEEP = """z = x @ W + b
h = sigmoid(z)
g = softplus(h @ V)
r = g - y
"""


@pytest.mark.parametrize(
    "loss",
    [
        "l = mean(r**2)",
        "l = sum(r**2)/2 + decay*sum(W**2)/N",
        "l = sum(h) - sum(y*g) + decay*sum(V)",
        "l = mean(r**2)*decay + sum(b*b)",
        "l = sum(softmax(r)**2) - mean(log(sum(exp(g), axis=1))) + sum(softmax(V))",
    ],
)
def test_bodies_of_other_networks_agree_with_autograd(loss):
    check_body_for_all_points(DEEP + loss, within=1e-13)


@pytest.mark.parametrize("peak", ["softmax(r.T)", "log(sum(exp(r), axis=0))", "log(sum(exp(r)))"])
def test_a_largest_value_over_the_points_is_refused(peak):
    with pytest.raises(ProgramError, match="over its points; take it along the columns"):
        check_body_for_all_points(f"{NETWORK}l = sum({peak})", within=1e-14)
