"""The forward programs of chapter 3, and one of them evaluated at an example."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mlpreport.checks import POSITIVE, checked_whole
from mlpreport.derivation import Derivation, Program, trace, value_and_grad
from mlpreport.derivation.backward import cotangent
from mlpreport.derivation.printing import code_names, show
from mlpreport.derivation.program import show_shape
from mlpreport.derivation.reading import Reader
from mlpreport.errors import ShapeError
from mlpreport.results import GraphNode, GraphRecord

REPORT = """
z1 = x @ W1
z2 = z1 + b1
z3 = sigmoid(z2)
z4 = z3 @ W2
yhat = z4 + b2
l = sum((y - yhat) ** 2)
"""
"""The network of the report's section 3. For one example the sum has one term, the report's loss."""

LOGISTIC = """
z = x @ W + b
p = softmax(z)
l = -mean(sum(y * log(p), axis=1))
"""
"""Logistic regression with cross-entropy; y has one row of class probabilities per example."""


def report_network() -> Program:
    """Trace the report's network with one output, for N examples, D inputs and H hidden units."""
    return trace(REPORT, x=("N", "D"), W1=("D", "H"), b1=(1, "H"), W2=("H", 1), b2=(1, 1), y=("N", 1))


def logistic_regression(*assume: str) -> Program:
    """Trace logistic regression with C classes, for N examples of D inputs."""
    return trace(LOGISTIC, assume=assume, x=("N", "D"), W=("D", "C"), b=(1, "C"), y=("N", "C"))


def deep_network(depth: int, activation: str) -> Program:
    """Trace a network of `depth` hidden layers of H units with a mean squared error."""
    checked_whole("depth", depth, POSITIVE)
    widths: list[str | int] = ["D", *["H"] * depth, 1]
    lines: list[str] = []
    for k in range(1, depth + 1):
        before = "x" if k == 1 else f"a{k - 1}"
        lines += [f"z{k} = {before} @ W{k} + b{k}", f"a{k} = {activation}(z{k})"]
    lines += [f"yhat = a{depth} @ W{depth + 1} + b{depth + 1}", "l = mean((y - yhat) ** 2)"]
    shapes: dict[str, Any] = {"x": ("N", "D")}
    for k in range(1, depth + 2):
        shapes |= {f"W{k}": (widths[k - 1], widths[k]), f"b{k}": (1, widths[k])}
    return trace("\n".join(lines), **shapes, y=("N", 1))


def worked_example(derivation: Derivation, **inputs: np.ndarray) -> GraphRecord:
    """Evaluate every variable of a program and its cotangent at `inputs`, one matrix for each input.

    Raises
    ------
    InvalidInputError, ShapeError
        If an input is missing or unknown, or its shape does not fit.
    """
    program = derivation.program
    everything = replace(derivation, results={name: name for name in derivation.backward.shapes})
    _, values = value_and_grad(everything)(**inputs)
    order = [*program.inputs, *program.definitions]
    return GraphRecord(tuple(_node(name, derivation, values) for name in order))


def _node(name: str, derivation: Derivation, values: Mapping[str, np.ndarray]) -> GraphNode:
    program = derivation.program
    equation = f"{name} = {show(program.definitions[name], {})}" if name in program.definitions else name
    rows, columns = program.shapes[name]
    operands = tuple(other for other, users in program.users.items() if name in users)
    value, slope = values[name], values[cotangent(program.loss, name)]
    return GraphNode(name, f"{equation}   ({rows}, {columns})", operands, value, slope)


def tampered(derivation: Derivation, name: str, wrong: str) -> Derivation:
    """Replace the cotangent of `name` by the formula `wrong`, so that a proof has something to find.

    The formula is in the forward language with cotangents named d…, such as "2 * dz4 @ W2.T".

    Raises
    ------
    ProgramError, ShapeError
        If the variable is unknown, or the formula is outside the language or has another shape.
    """
    backward = derivation.backward
    scope = {
        code: backward.variable(key) for key, code in code_names(backward).items() if key in backward.shapes
    }
    term = Reader(wrong, scope).read_expression()
    target, shape = cotangent(derivation.program.loss, name), derivation[name].shape
    if term.shape != shape:
        found = show_shape(term.shape)
        message = f"{wrong} has shape {found}; a wrong cotangent of {name} has its shape, {show_shape(shape)}"
        raise ShapeError(message)
    return replace(
        derivation,
        steps={**derivation.steps, name: replace(derivation[name], cotangent=term)},
        backward=replace(backward, definitions={**backward.definitions, target: term}),
    )
