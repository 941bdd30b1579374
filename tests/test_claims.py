from dataclasses import replace

import numpy as np
import pytest
from examples import optimum, record, result

from mlpreport.claims import CLAIMS, judge
from mlpreport.errors import InvalidInputError
from mlpreport.experiments import EXPERIMENTS

GRID = np.linspace(0, 13, 521)
SINE = np.sin(GRID)
RELU, SIGMOID = "1-3-5-4-1 relu", "1-3-5-4-1 sigmoid"


def units(count, losses, test_losses=None, **fields):
    return record(f"1-{count}-1 sigmoid", losses, test_losses, **fields)


def first_units(losses=(0.37, 0.08, 0.0073), tests=(0.37, 0.09, 0.0103), off=(1.0, 0.5, 0.0)):
    """Three networks; the n-th is off the sine on the last share `off` of the interval."""
    curves = [SINE + ((1 - share) * 4 * np.pi < GRID) for share in off]
    rows = zip((1, 2, 3), losses, tests, curves, strict=True)
    return result("first-units", *(units(n, [loss], [test], curve=curve) for n, loss, test, curve in rows))


def widths(losses, tests, places=(0.5, 1.5)):
    curves = {
        50: SINE + 9.0 * (np.abs(GRID - places[0]) < 0.01),
        100: SINE + 9.0 * (np.abs(GRID - places[1]) < 0.01),
    }
    rows = zip((1, 2, 3, 10, 50, 100), losses, tests, strict=True)
    return result("widths", *(units(n, [a], [b], curve=curves.get(n, SINE)) for n, a, b in rows))


USUAL = widths((0.37, 0.08, 0.0073, 0.005, 0.003, 0.002), (0.37, 0.09, 0.0103, 0.02, 40, 20))


def two_units(found, experiment="two-units", losses=None):
    total = sum(len(members) for _, members in found)
    optima = [optimum(loss, members, total) for loss, members in found]
    return result(experiment, units(2, [0.1] * total if losses is None else losses, optima=optima))


LOSSES = np.linspace(0.08, 0.09, 50)


def slide(sign):
    """Fifty restarts of one class whose parameters grow (sign 1) or shrink (-1) with the error."""
    grown = units(2, LOSSES, optima=[optimum(LOSSES[0], range(50), 50)])
    return result(
        "two-units", replace(grown, parameters={"W1": (100 + sign * np.arange(50.0)).reshape(50, 1, 1)})
    )


def activations(relu, sigmoid, relu_tests=None, sigmoid_tests=None, relu_curve=None, sigmoid_curve=None):  # noqa: PLR0913, PLR0917
    straight = np.interp(GRID, np.arange(0, 14), np.sin(np.arange(0, 14)))
    return result(
        "activations",
        record(RELU, relu, relu_tests, curve=straight if relu_curve is None else relu_curve),
        record(SIGMOID, sigmoid, sigmoid_tests, curve=SINE if sigmoid_curve is None else sigmoid_curve),
    )


def hidden(*correlated):
    """Networks of 2, 3 and 10 units; where `correlated` is true, the last unit copies the first."""
    networks = []
    for count, copied in zip((2, 3, 10), correlated, strict=True):
        values = np.random.default_rng(count).random((521, count))
        values[:, -1] = values[:, 0] if copied else values[:, -1]
        networks.append(units(count, [0.1], hidden=values))
    return result("hidden-units", *networks)


def fifty(*tests):
    names = ("fifty-stopped", "fifty-decayed")
    return [result(name, units(50, [0.004], [test])) for name, test in zip(names, tests, strict=True)]


CONSTANT = result("x")["constant"].loss
CASES = [
    ("no-hidden-units", (first_units(),), "partly"),
    ("one-unit", (first_units(off=(0.8, 0.5, 0.0)),), "reproduced"),
    ("one-unit", (first_units(off=(0.3, 0.2, 0.0)),), "refuted"),
    ("two-units-improve", (first_units(),), "reproduced"),
    ("two-units-improve", (first_units(losses=(0.37, 0.2, 0.0073)),), "refuted"),
    ("two-units-improve", (first_units(losses=(0.37, 0.01, 0.0073)),), "refuted"),
    ("three-units-details", (first_units(),), "reproduced"),
    ("three-units-details", (first_units(losses=(0.37, 0.08, 0.0083)),), "refuted"),
    ("no-overfitting-below-four", (first_units(),), "reproduced"),
    ("no-overfitting-below-four", (first_units(tests=(0.37, 0.09, 0.091)),), "refuted"),
    ("hanin-sellke", (), "not testable"),
    ("several-optima", (two_units([(0.1 * n, range(3)) for n in range(1, 7)]),), "reproduced"),
    ("several-optima", (two_units([(0.1, range(300)), (0.2, [300])]),), "partly"),
    ("worst-optimum", (two_units([(0.1, range(3)), (0.44, range(2)), (0.6, [1])]),), "reproduced"),
    ("worst-optimum", (two_units([(0.1, range(3)), (0.3, range(2)), (0.44, [1])]),), "refuted"),
    ("global-optimum", (slide(-1),), "refuted"),
    ("global-optimum", (slide(1),), "partly"),
    ("start-decides", (two_units([], losses=[0.1, 0.3]), two_units([], losses=[0.3, 0.3])), "partly"),
    ("start-decides", (two_units([], losses=[0.1, 0.3]), two_units([], losses=[0.1, 0.3])), "reproduced"),
    ("training-error-falls", (USUAL,), "reproduced"),
    ("training-error-falls", (widths((0.37, 0.08, 0.0073, 0.0074, 0.003, 0.002), [1] * 6),), "partly"),
    ("ten-overfits", (USUAL,), "reproduced"),
    ("ten-overfits", (widths((3, 2, 1, 0.9, 0.8, 0.7), (3, 2, 1, 0.9, 1, 1)),), "refuted"),
    ("wide-overfits", (USUAL,), "reproduced"),
    ("wide-overfits", (widths((3, 2, 1, 0.9, 0.8, 0.7), (3, 2, 1, 2, 3, 1.9)),), "refuted"),
    ("spikes-on-the-left", (USUAL,), "reproduced"),
    ("spikes-on-the-left", (widths([1] * 6, [1] * 6, places=(0.5, 6.0)),), "partly"),
    ("spikes-on-the-left", (widths([1] * 6, [1] * 6, places=(4.0, 6.0)),), "refuted"),
    ("inevitable-overfitting", (USUAL, *fifty(0.1, 0.011)), "refuted"),
    ("inevitable-overfitting", (USUAL, *fifty(0.1, 0.2)), "reproduced"),
    ("units-are-features", (hidden(False, False, False),), "reproduced"),
    ("units-are-features", (hidden(True, False, True),), "partly"),
    ("units-are-features", (hidden(True, True, True),), "refuted"),
    ("relu-is-more-linear", (activations([0.1], [0.1]),), "reproduced"),
    ("relu-is-more-linear", (activations([0.1], [0.1], relu_curve=SINE),), "refuted"),
    ("similar-test-errors", (activations([0.1, 0.1], [0.1, 0.1], [0.2, 0.2], [0.2, 0.25]),), "reproduced"),
    ("similar-test-errors", (activations([0.1] * 3, [0.1] * 3, [0.2, 0.4, 0.4], [0.2] * 3),), "partly"),
    ("similar-test-errors", (activations([0.1], [0.1], [0.4], [0.2]),), "refuted"),
    ("sigmoid-smaller-gap", (activations([0.1] * 9, [0.1] * 9, [0.3] * 9, [0.2] * 9),), "reproduced"),
    ("sigmoid-smaller-gap", (activations([0.1] * 9, [0.1] * 9, [0.2] * 9, [0.3] * 9),), "refuted"),
    ("sigmoid-smaller-gap", (activations([0.1] * 2, [0.1] * 2, [0.3] * 2, [0.2] * 2),), "refuted"),
    ("relu-dies", (activations([CONSTANT, 0.1], [0.1, 0.1]),), "reproduced"),
    ("relu-dies", (activations([0.1, 0.1], [0.1, 0.1]),), "refuted"),
    ("relu-dies", (activations([CONSTANT, 0.1], [CONSTANT, 0.1]),), "refuted"),
]


@pytest.mark.parametrize(("name", "results", "outcome"), CASES)
def test_the_verdict_follows_the_numbers(name, results, outcome):
    assert judge(name, *results).verdict.outcome == outcome


def test_every_claim_is_tested():
    assert {name for name, *_ in CASES} == set(CLAIMS)


def test_every_claim_names_known_experiments_and_its_section():
    for claim in CLAIMS.values():
        assert set(claim.experiments) <= set(EXPERIMENTS)
        assert claim.section in {"", "2.1", "2.2", "2.3", "2.4", "2.5"}


def test_another_constant_refutes_the_reports_number():
    usual = first_units()
    other = replace(usual, baselines=tuple(replace(baseline, loss=0.4) for baseline in usual.baselines))
    assert judge("no-hidden-units", other).verdict.outcome == "refuted"


def test_a_judgement_shows_claim_section_verdict_and_deciding_numbers():
    shown = judge("three-units-details", first_units())._repr_markdown_()
    for part in (
        "verdict reproduced",
        "section 2.1",
        "Three units may",
        "three units / noise floor",
        "at most 1",
    ):
        assert part in shown
    ours = judge("relu-dies", activations([CONSTANT], [0.1]))._repr_markdown_()
    assert "Ours" in ours
    assert "not-testable" in judge("hanin-sellke")._repr_markdown_()


def test_an_unknown_claim_suggests_the_nearest():
    with pytest.raises(InvalidInputError, match="'one-units' is unknown; did you mean 'one-unit'"):
        judge("one-units", first_units())
    with pytest.raises(InvalidInputError, match="is unknown; known claims"):
        judge([3], first_units())


def test_results_of_other_experiments_are_refused():
    with pytest.raises(InvalidInputError, match=r"'one-unit' is judged by results of \('first-units',\)"):
        judge("one-unit", USUAL)
