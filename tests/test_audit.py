"""Verdicts on the report's formulas against numbers: NumPy evaluates them, torch.autograd knows the gradient."""

import numpy as np
import pytest
import torch
from examples import report_gradients

from mlpreport.claims import audit
from mlpreport.claims.backpropagation import FORMULAS
from mlpreport.programs import report_network

SIZES = {"N": 3, "D": 2, "H": 4}


@pytest.fixture(scope="module", name="audited")
def _audited():
    return {(item.formula.target, item.formula.claim): item.explanation for item in audit(report_network())}


@pytest.fixture(scope="module", name="numbers")
def _numbers():
    """Values of all variables at random inputs, and gradients of the loss by all of them, named d…."""
    stream = np.random.default_rng(4)
    shapes = {"x": "N D", "W1": "D H", "b1": "1 H", "W2": "H 1", "b2": "1 1", "y": "N 1"}
    t = {
        name: torch.tensor(
            stream.normal(size=[SIZES.get(s) or int(s) for s in shape.split()]), requires_grad=True
        )
        for name, shape in shapes.items()
    }
    gradients = report_gradients(t)
    values = {name: value.detach().numpy() for name, value in t.items()}
    return values | {f"d{name}": g.numpy() for name, g in zip(t, gradients, strict=True)}


def holds(formula, numbers):
    """Whether a formula, run as NumPy, has the gradient's shape and value."""
    expected = numbers[f"d{formula.target}"]
    try:
        found = np.asarray(eval(formula.claim, {"__builtins__": {}}, numbers))  # noqa: S307 - a formula of ours
    except ValueError:  # operands could not be broadcast together
        return False
    if found.ndim == 0:
        found = found.reshape(1, 1)
    return found.shape == expected.shape and np.allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda f: f"{f.number} {f.claim}")
def test_the_verdict_is_that_of_the_numbers(formula, audited, numbers):
    assert audited[formula.target, formula.claim].agrees is holds(formula, numbers)


def test_every_step_of_the_report_is_audited_once_or_in_each_reading(audited):
    numerals = [formula.number.split(",")[0] for formula in FORMULAS]
    expected = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"]
    assert list(dict.fromkeys(numerals)) == expected
    assert len(audited) == len(FORMULAS)
    assert {formula.target for formula in FORMULAS} == set(report_network().shapes)


def test_both_verdicts_occur_and_every_wrong_formula_has_a_diagnosis_and_a_counterexample(audited):
    verdicts = [explanation.agrees for explanation in audited.values()]
    assert 0 < sum(verdicts) < len(verdicts)
    for explanation in audited.values():
        assert bool(explanation.diagnosis) is not explanation.agrees
        assert (explanation.counterexample is None) is explanation.agrees


def test_the_diagnoses_name_the_mistakes(audited):
    assert "sum" in audited["b1", "dz2"].diagnosis
    assert "z3.T" in audited["W2", "dz4 * z3"].diagnosis
    assert "sign" in audited["yhat", "2 * (y - yhat)"].diagnosis


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda f: f"{f.number} {f.claim}")
def test_a_counterexample_is_one(formula, audited):
    example = audited[formula.target, formula.claim].counterexample
    if example is None:
        return
    leaves = {name: torch.tensor(array, requires_grad=True) for name, array in example.inputs.items()}
    hidden = torch.sigmoid(leaves["x"] @ leaves["W1"] + leaves["b1"])
    yhat = hidden @ leaves["W2"] + leaves["b2"]
    loss = ((leaves["y"] - yhat) ** 2).sum()
    if formula.target in leaves:
        (gradient,) = torch.autograd.grad(loss, leaves[formula.target])
        np.testing.assert_allclose(example.correct, gradient.numpy(), rtol=1e-12)
    if example.claimed is None:
        assert example.problem
    else:
        assert not np.allclose(example.claimed, example.correct, rtol=1e-6)
