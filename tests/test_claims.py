from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from examples import baselines, merged, optimum, record, result

from mlpreport.claims import CLAIMS, judge
from mlpreport.data import noisy_sine
from mlpreport.errors import InvalidInputError
from mlpreport.experiments import EXPERIMENTS
from mlpreport.studies import Arm, Study, fingerprint

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


def widths(losses, tests):
    rows = zip((1, 2, 3, 10, 50, 100), losses, tests, strict=True)
    return result("widths", *(units(n, [a], [b]) for n, a, b in rows))


USUAL = widths((0.37, 0.08, 0.0073, 0.005, 0.003, 0.002), (0.37, 0.09, 0.0103, 0.02, 40, 20))


def two_units(found, experiment="two-units", losses=None):
    total = sum(len(members) for _, members in found)
    optima = [optimum(loss, members, total) for loss, members in found]
    return result(experiment, units(2, [0.1] * total if losses is None else losses, optima=optima))


def on(data, found):
    """Put other data, and what the baselines are on them, into a result."""
    return replace(found, data=data, baselines=baselines(data, found.grid))


def other_method(losses):
    return replace(two_units([], losses=losses), description={"method": "adam"})


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


def study(**parts):
    """Arms of fifty sets of ten; each is given by its test error, or by that and the place of its deviations."""
    arms = []
    for name, value in parts.items():
        test, place = value if isinstance(value, tuple) else (value, 0.5)
        values = [np.full(500, number) for number in (0.1, test, 0.5, 1.0)]
        values[2] = np.broadcast_to(np.asarray(place, dtype=float), 500).copy()
        arms.append(Arm(name.strip("_").replace("_", " "), {}, *values))
    return Study("width-study", fingerprint(noisy_sine()), {}, tuple(arms))


def spiked(*places):
    """Networks of fifty and a hundred units whose only errors are on test points near one place each."""
    networks = []
    for count, place in zip((50, 100), places, strict=True):
        part = units(count, [0.003])
        parameters = {name: np.zeros_like(values) for name, values in part.parameters.items()}
        parameters["W1"][0, 0, :2], parameters["b1"][0, :2] = (
            1e3,
            [-1e3 * (place - 0.06), -1e3 * (place + 0.06)],
        )
        parameters["W2"][0, :2, 0] = [100, -100]
        networks.append(replace(part, parameters=parameters))
    return result("widths", *networks)


OVERFIT = study(_3=0.01, _10=0.02, _50=40.0, _100=20.0)


def wide(stopped, stopped_100, decayed, decayed_100):
    """Fifty and a hundred units that overfit badly after long training, with their test errors by other ways."""
    return study(
        _3=0.01,
        _50=40.0,
        _100=20.0,
        _50_stopped_at_300=stopped,
        _100_stopped_at_300=stopped_100,
        _50_decayed=decayed,
        _100_decayed=decayed_100,
    )


def merging(factor):
    """Networks whose error lies above the limit by `factor` times what theory predicts."""
    _, limit = merged()
    separations = np.array([1e-3, 2e-3])
    networks = [limit.network(separation) for separation in separations]
    losses = limit.loss + factor * limit.slope * separations**2
    grown = {name: np.array([network[name] for network in networks]) for name in networks[0]}
    return result("two-units", replace(units(2, losses), parameters=grown))


NAN = float("nan")
NOISELESS, ONE_POINT = noisy_sine(noise=0), noisy_sine(train_size=1)
OTHER_DATA = replace(other_method([0.1]), data=noisy_sine(seed=2))
CONSTANT = USUAL["constant"].loss
CASES = [
    ("starts-like-xavier", (), "partly"),
    ("softmax-amplifies", (), "partly"),
    ("confidence-speeds-learning", (), "partly"),
    ("no-hidden-units", (first_units(),), "partly"),
    ("one-unit", (first_units(off=(0.8, 0.5, 0.0)),), "reproduced"),
    ("one-unit", (first_units(off=(0.3, 0.2, 0.0)),), "refuted"),
    ("two-units-improve", (first_units(),), "reproduced"),
    ("two-units-improve", (first_units(losses=(0.37, 0.2, 0.0073)),), "refuted"),
    ("two-units-improve", (first_units(losses=(0.37, 0.01, 0.0073)),), "refuted"),
    ("three-units-details", (first_units(),), "reproduced"),
    ("three-units-details", (first_units(losses=(0.37, 0.08, 0.0083)),), "refuted"),
    ("two-units-improve", (on(NOISELESS, first_units()),), "not testable"),
    ("three-units-details", (on(NOISELESS, first_units()),), "not testable"),
    ("wide-fit-perfectly", (on(NOISELESS, USUAL),), "not testable"),
    ("no-overfitting-below-four", (first_units(),), "reproduced"),
    ("no-overfitting-below-four", (first_units(tests=(0.37, 0.09, 0.091)),), "refuted"),
    ("hanin-sellke", (), "not testable"),
    ("several-optima", (two_units([(0.1 * n, range(3)) for n in range(1, 7)]),), "reproduced"),
    ("several-optima", (two_units([(0.1, range(300)), (0.2, [300])]),), "partly"),
    ("several-optima", (two_units([(0.1, range(300))]),), "refuted"),
    ("several-optima", (two_units([(0.1, range(3))]),), "not testable"),
    ("several-optima", (two_units([], losses=[0.1]),), "not testable"),
    ("worst-optimum", (two_units([(0.1, range(3)), (0.44, range(2)), (0.6, [1])]),), "reproduced"),
    ("worst-optimum", (two_units([(0.1, range(3)), (0.3, range(2)), (0.44, [1])]),), "refuted"),
    ("worst-optimum", (two_units([(0.1, [0]), (0.3, [1])]),), "not testable"),
    ("worst-optimum", (two_units([], losses=[0.1]),), "not testable"),
    ("worst-optimum", (on(ONE_POINT, two_units([(0.1, range(3))])),), "not testable"),
    ("global-optimum", (two_units([], losses=[float("nan")]),), "not testable"),
    ("global-optimum", (two_units([], losses=[0.0797, 0.3]),), "refuted"),
    ("global-optimum", (two_units([], losses=[0.0795, 0.3]),), "partly"),
    ("start-decides", (two_units([], losses=[0.1, 0.3]), other_method([0.3, 0.3])), "partly"),
    ("start-decides", (two_units([], losses=[0.1, 0.3]), other_method([0.1, 0.3])), "reproduced"),
    ("start-decides", (two_units([], losses=[NAN, 0.3]), other_method([0.1, 0.3])), "partly"),
    ("start-decides", (two_units([], losses=[NAN, 0.3]), other_method([NAN, 0.3])), "reproduced"),
    ("start-decides", (two_units([], losses=[NAN]), other_method([NAN])), "not testable"),
    ("start-decides", (two_units([], losses=[0.1]), other_method([0.1, 0.1])), "not testable"),
    (
        "start-decides",
        (
            two_units([], losses=[0.1]),
            replace(other_method([0.1]), description={"seed": 5, "method": "adam"}),
        ),
        "not testable",
    ),
    ("start-decides", (two_units([], losses=[0.1]), two_units([], losses=[0.3])), "not testable"),
    ("start-decides", (two_units([], losses=[0.1]), OTHER_DATA), "not testable"),
    ("training-error-falls", (USUAL,), "reproduced"),
    ("training-error-falls", (widths((0.37, 0.08, 0.0073, 0.0074, 0.003, 0.002), [1] * 6),), "partly"),
    ("training-error-falls", (widths((1, 2, 3, 3, 4, 5), [1] * 6),), "refuted"),
    ("training-error-falls", (result("widths", units(3, [0.1])),), "not testable"),
    ("ten-overfits", (USUAL, OVERFIT), "reproduced"),
    ("ten-overfits", (replace(USUAL, data=noisy_sine(noise=0)), OVERFIT), "not testable"),
    ("ten-overfits", (USUAL, study(_3=0.01, _10=0.009)), "refuted"),
    ("ten-overfits", (widths((3, 2, 1, 1.1, 0.8, 0.7), [1] * 6), OVERFIT), "refuted"),
    ("wide-overfits", (USUAL, OVERFIT), "reproduced"),
    ("wide-overfits", (USUAL, study(_3=0.01, _50=40.0, _100=0.09)), "refuted"),
    ("ten-overfits-at-eight", (study(_10=(1.0, 8.5)),), "reproduced"),
    ("ten-overfits-at-eight", (study(_10=(1.0, np.repeat([8.0, 0.5], [100, 400]))),), "partly"),
    ("ten-overfits-at-eight", (study(_10=(1.0, np.repeat([9.1, 9.0], [480, 20]))),), "refuted"),
    ("spikes-on-the-left", (spiked(0.5, 1.5), study(_50=(1.0, 0.9), _100=(1.0, 1.9))), "reproduced"),
    ("spikes-on-the-left", (spiked(1.5, 1.5), study(_50=(1.0, 0.9), _100=(1.0, 1.9))), "partly"),
    ("spikes-on-the-left", (spiked(0.5, 2.5), study(_50=(1.0, 0.9), _100=(1.0, 1.9))), "partly"),
    ("spikes-on-the-left", (spiked(0.5, 1.5), study(_50=(1.0, 1.1), _100=(1.0, 1.9))), "partly"),
    ("spikes-on-the-left", (spiked(0.5, 1.5), study(_50=(1.0, 1.1), _100=(1.0, 2.1))), "refuted"),
    ("inevitable-overfitting", (wide(0.011, 0.011, 0.011, 0.011),), "refuted"),
    ("inevitable-overfitting", (wide(0.2, 0.2, 0.011, 0.011),), "refuted"),
    ("inevitable-overfitting", (wide(0.011, 0.011, 0.2, 0.2),), "refuted"),
    ("inevitable-overfitting", (wide(0.2, 0.2, 0.2, 0.2),), "reproduced"),
    ("inevitable-overfitting", (wide(0.011, 0.2, 0.2, 0.2),), "not testable"),
    ("inevitable-overfitting", (wide(0.2, 0.2, 0.011, 0.2),), "not testable"),
    ("wide-fit-perfectly", (widths((0.37, 0.08, 0.0073, 0.005, 7e-5, 7e-5), [1] * 6),), "reproduced"),
    ("wide-fit-perfectly", (widths((0.37, 0.08, 0.0073, 0.005, 9e-5, 7e-5), [1] * 6),), "partly"),
    ("wide-fit-perfectly", (USUAL,), "refuted"),
    ("approach-as-square", (partial(merging, 1.01),), "reproduced"),
    ("approach-as-square", (partial(merging, 1.1),), "refuted"),
    ("approach-as-square", (two_units([], losses=[0.3, 0.3]),), "not testable"),
    ("units-are-features", (hidden(False, False, False),), "reproduced"),
    ("units-are-features", (hidden(True, False, True),), "partly"),
    ("units-are-features", (hidden(True, True, True),), "refuted"),
    ("relu-is-more-linear", (activations([0.1], [0.1]),), "reproduced"),
    ("relu-is-more-linear", (activations([0.1], [0.1], relu_curve=SINE),), "refuted"),
    ("relu-is-more-linear", (activations([0.1], [0.1], relu_curve=0 * SINE),), "reproduced"),
    ("similar-test-errors", (activations([0.1, 0.1], [0.1, 0.1], [0.2, 0.2], [0.2, 0.25]),), "reproduced"),
    ("similar-test-errors", (activations([0.1] * 3, [0.1] * 3, [0.2, 0.4, 0.4], [0.2] * 3),), "partly"),
    ("similar-test-errors", (activations([0.1], [0.1], [0.4], [0.2]),), "refuted"),
    ("sigmoid-smaller-gap", (activations([0.1] * 9, [0.1] * 9, [0.3] * 9, [0.2] * 9),), "reproduced"),
    ("sigmoid-smaller-gap", (activations([0.1] * 9, [0.1] * 9, [0.2] * 9, [0.3] * 9),), "refuted"),
    ("sigmoid-smaller-gap", (activations([0.1] * 9, [0.1] * 9, [0.2] * 9, [0.0] * 9),), "not testable"),
    ("sigmoid-smaller-gap", (activations([0.1] * 2, [0.1] * 2, [0.3] * 2, [0.2] * 2),), "not testable"),
    ("sigmoid-smaller-gap", (activations([0.3] * 9, [0.1] * 9),), "not testable"),
    ("similar-test-errors", (activations([0.1] * 9, [0.3] * 9),), "not testable"),
    ("sigmoid-generalises-better", (activations([0.1] * 9, [0.1] * 9, [0.3] * 9, [0.2] * 9),), "reproduced"),
    (
        "sigmoid-generalises-better",
        (activations([0.1] * 9, [0.1] * 9, [0.3] * 9, [0.2] * 8 + [9]),),
        "partly",
    ),
    (
        "sigmoid-generalises-better",
        (activations([0.1] * 9, [0.1] * 9, [0.3] * 9, [0.2] * 8 + [NAN]),),
        "partly",
    ),
    ("sigmoid-generalises-better", (activations([0.1] * 9, [0.1] * 9, [0.2] * 9, [0.3] * 9),), "refuted"),
    (
        "sigmoid-generalises-better",
        (activations([0.1] * 9, [0.1] * 9, [0.2] * 9, [0.2] * 9),),
        "not testable",
    ),
    ("relu-dies", (activations([CONSTANT, 0.1], [0.1, 0.1]),), "reproduced"),
    ("relu-dies", (activations([0.1] * 200, [0.1, 0.1]),), "refuted"),
    ("relu-dies", (activations([0.1, 0.1], [0.1, 0.1]),), "not testable"),
    ("relu-dies", (activations([CONSTANT, 0.1], [CONSTANT, 0.1]),), "refuted"),
]


@pytest.mark.parametrize(
    ("name", "widths_are_asked", "found"),
    [
        ("ten-overfits", True, OVERFIT),
        ("wide-overfits", True, OVERFIT),
        ("ten-overfits-at-eight", False, study(_10=(1.0, 0.5))),
    ],
)
def test_three_sets_of_ten_settle_nothing(name, widths_are_asked, found):
    fields = ("losses", "test_losses", "places", "deviations")
    arms = [replace(arm, **{field: getattr(arm, field)[:30] for field in fields}) for arm in found.arms]
    results = [USUAL] * widths_are_asked + [replace(found, arms=tuple(arms))]
    assert judge(name, *results).verdict.outcome == "not testable"


@pytest.mark.parametrize(("name", "results", "outcome"), CASES)
def test_the_verdict_follows_the_numbers(name, results, outcome):
    results = [result() if callable(result) else result for result in results]
    assert judge(name, *results).verdict.outcome == outcome


@pytest.mark.parametrize(
    ("name", "results", "sentence"),
    [
        (
            "start-decides",
            [two_units([], losses=[0.1]), other_method([0.1])],
            "0 % of the restarts: the start decides.",
        ),
        (
            "global-optimum",
            [two_units([], losses=[0.0795])],
            "The lowest of 1 restarts does not lie above it.",
        ),
        ("approach-as-square", [partial(merging, -1)], "Only 0 lie above it"),
        ("approach-as-square", [two_units([], losses=[0.3])], "None of 1 restarts ends near the limit."),
        ("units-are-features", [hidden(True, True, True)], "In the three-unit network two units are copies"),
        ("units-are-features", [hidden(False, False, False)], "two-unit network differ (0."),
        ("units-are-features", [hidden(False, False, False)], "and the ten differ as well (0."),
        ("units-are-features", [hidden(False, False, True)], "and the ten contain copies (1.0000)."),
        ("three-units-details", [first_units(losses=(0.37, 0.08, 0.0083))], "is above the noise floor"),
        (
            "similar-test-errors",
            [activations([0.1, 0.4], [0.1] * 3)],
            "less than half the constant's training error (1 ReLU, 3 sigmoid)",
        ),
        (
            "sigmoid-smaller-gap",
            [activations([0.1] * 2, [0.1] * 3, [0.3] * 2, [0.2] * 3)],
            "So 2 and 3 restarts do not decide it (p = 0.",
        ),
        (
            "sigmoid-smaller-gap",
            [activations([0.1] * 9, [0.1] * 9, [0.3] * 9, [0.2] * 9)],
            "That is more than chance (p = ",
        ),
        (
            "inevitable-overfitting",
            [wide(0.011, 0.011, 0.011, 0.009)],
            "at all in 50 of 50 (88 to 100 %) and 0 of 50 (0 to 12 %); the median factors are 1.10 and 0.90.",
        ),
        (
            "spikes-on-the-left",
            [spiked(0.5, 1.5), study(_50=(1.0, 0.9), _100=(1.0, 1.9))],
            "99.4 % at fifty units and 99.7 % at a hundred comes from",
        ),
        ("wide-fit-perfectly", [USUAL], "by 0.055 (fifty units) and 0.045 (a hundred)"),
        ("starts-like-xavier", [], "7.0 times as far in one from 1 to 100 units"),
    ],
)
def test_the_sentence_follows_the_numbers(name, results, sentence):
    results = [result() if callable(result) else result for result in results]
    assert sentence in judge(name, *results).verdict.because.replace("\N{NO-BREAK SPACE}", " ")


def test_the_start_is_as_far_from_glorots_as_the_two_rules_are():
    """The rules differ by √((in + out)/(2 in)): 0.79 for 400 and 100, 7.1 for 1 and 100."""
    ratios = [value for _, value, _ in judge("starts-like-xavier").verdict.numbers]
    np.testing.assert_allclose(ratios, [np.sqrt(500 / 800), np.sqrt(101 / 2)], rtol=0.1)


def test_the_gradient_of_a_confident_model_is_the_one_of_autograd():
    logits, lengths = torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64), []
    for label in (0, 2):
        for temperature in (10.0, 0.5):
            scaled = (logits / temperature).requires_grad_()
            torch.nn.functional.cross_entropy(scaled, torch.tensor(label)).backward()
            lengths.append(scaled.grad.norm().item())
    ratios = [value for _, value, _ in judge("confidence-speeds-learning").verdict.numbers]
    np.testing.assert_allclose(ratios, [lengths[1] / lengths[0], lengths[3] / lengths[2]], rtol=1e-6)


def test_every_claim_is_tested():
    assert {name for name, *_ in CASES} == set(CLAIMS)


def test_every_claim_names_known_experiments_and_its_section():
    for claim in CLAIMS.values():
        assert set(claim.experiments) <= {*EXPERIMENTS, "width-study"}
        assert claim.section in {"", "1.1", "2.1", "2.2", "2.3", "2.4", "2.5"}


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
    with pytest.raises(InvalidInputError, match=r"not of \('3',\)"):
        judge("one-unit", 3)
