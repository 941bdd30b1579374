"""A certificate proves what a point is, agrees with other ways to compute its numbers, and fails where it should."""

import re
from contextlib import nullcontext
from dataclasses import fields, replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp
import torch
from cases import one_in
from flint import arb

from mlpreport.data import Dataset, Sample, noisy_sine
from mlpreport.derivation import elementwise, register_elementwise, trace, value_and_grad
from mlpreport.errors import CertificateError, InvalidInputError, ShapeError
from mlpreport.training import Architecture, Restart, fit
from mlpreport.training.atlas import load_atlas
from mlpreport.training.certificates import certify, verify
from mlpreport.training.comparison import check_numbers, compared_reasons
from mlpreport.training.intervals import (
    UndecidedError,
    exact,
    gradient_on,
    hessian_on,
    is_positive_definite,
    on_balls,
    precise,
)
from mlpreport.training.judging import _rounded_down
from mlpreport.training.limits import Limit, Step
from mlpreport.training.objective import Objective, derived, network_objective
from mlpreport.training.proofs import prove
from mlpreport.training.stationary import measure, newton

DATA = noisy_sine()
LESS = {"max_iterations": 1000, "decrement_tolerance": 1e-13, "gradient_tolerance": 1e-10}


def best(width, restarts, activation="sigmoid", data=DATA):
    architecture = Architecture((1, width, 1), activation)
    ensemble = fit(architecture, data, restarts=restarts, seed=0, method="levenberg-marquardt", **LESS)
    return architecture, ensemble.best().parameters


def torch_loss(parameters, activation=torch.sigmoid):
    W1, b1, W2, b2 = parameters
    x, y = (torch.tensor(values) for values in (DATA.train.x, DATA.train.y))
    return torch.mean((activation(x @ W1 + b1) @ W2 + b2 - y) ** 2)


def torch_hessian(certificate):
    arrays = [torch.tensor(values) for values in certificate.parameters.values()]
    sizes = [array.numel() for array in arrays]

    def loss(flat):
        return torch_loss(
            [part.reshape(a.shape) for part, a in zip(torch.split(flat, sizes), arrays, strict=True)]
        )

    return torch.autograd.functional.hessian(loss, torch.cat([array.ravel() for array in arrays])).numpy()


def test_the_lowest_one_unit_network_is_a_proved_minimum():
    architecture, parameters = best(1, 40)
    certificate = certify(architecture, DATA, parameters)
    assert certificate.verdict == "minimum"
    assert certificate.radius > 0
    assert certificate.spectrum[0] > 0
    np.testing.assert_allclose(
        certificate.spectrum, np.linalg.eigvalsh(torch_hessian(certificate)), rtol=1e-7
    )
    parameters = [torch.tensor(values) for values in certificate.parameters.values()]
    assert certificate.loss == pytest.approx(float(torch_loss(parameters)), rel=1e-14)
    verify(certificate, DATA)


def test_the_loss_of_the_best_three_unit_network_is_right_to_many_digits():
    certificate = load_atlas(3).entries[0].certificate
    assert certificate.verdict == "minimum"
    with mpmath.workdps(40):
        W1, b1, W2, b2 = (values.ravel().tolist() for values in certificate.parameters.values())
        total = mpmath.mpf(0)
        for x, y in zip(DATA.train.x.ravel().tolist(), DATA.train.y.ravel().tolist(), strict=True):
            units = [
                a / (1 + mpmath.exp(-(mpmath.mpf(w) * x + b))) for w, b, a in zip(W1, b1, W2, strict=True)
            ]
            total += (mpmath.fsum(units) + b2[0] - y) ** 2
        exact_loss = total / 100
    assert abs(certificate.loss - exact_loss) <= 1e-15 * exact_loss
    hessian = torch_hessian(certificate)
    np.testing.assert_allclose(certificate.spectrum[2:], np.linalg.eigvalsh(hessian)[2:], rtol=1e-4)


def test_gradient_and_hessian_on_a_box_contain_those_of_its_points():
    architecture = Architecture((1, 2, 1), "tanh")
    objective = network_objective(architecture, DATA.train.x, DATA.train.y)
    random = np.random.default_rng(2)
    centre = random.normal(size=7)
    with precise():
        box = exact(centre) + exact(np.zeros(7)) * 0
        box = np.array([value.union(value + 1e-6) for value in box])
        gradient, hessian = gradient_on(objective, box)[1], hessian_on(objective, box)
    inside = centre + 1e-6 * random.uniform(size=7)
    parts = np.split(inside, [2, 4, 6])
    tensors = [
        torch.tensor(p.reshape(s), requires_grad=True)
        for p, s in zip(parts, [(1, 2), (2,), (2, 1), (1,)], strict=True)
    ]
    torch_loss(tensors, torch.tanh).backward()
    found = np.concatenate([tensor.grad.numpy().ravel() for tensor in tensors])
    for ball, value in zip(gradient, found, strict=True):
        assert float(ball.lower()) - 1e-14 <= value <= float(ball.upper()) + 1e-14
    assert all(ball.rad() > 0 for ball in hessian.ravel())


def test_numbers_in_generated_code_become_exact_or_get_a_radius():
    source = "import numpy as np\n\n\ndef value_and_grad(x):\n    return 1/3*x[0, 0], {'pi': 3.141592653589793 * x}\n"
    with precise():
        value, more = on_balls(source)(exact(np.ones((1, 1))))
        assert (value * 3).contains(1)
        assert more["pi"][0, 0].contains(type(value).pi())


DEFINITIONS = {
    "elu": (
        lambda u: sp.Piecewise((u, u > 0), (sp.exp(u) - 1, True)),
        lambda u: sp.Piecewise((1, u > 0), (sp.exp(u), True)),
    ),
    "half": (lambda u: u**2 / 2, lambda u: u),
    "constant": (lambda u: 2 * u, lambda _: sp.Integer(2)),
    "equal": (
        lambda u: sp.Piecewise((5 * u, sp.Eq(u, 2)), (7, sp.Ne(u, -1)), (u, True)),
        lambda u: sp.Piecewise((5, sp.Eq(u, 2)), (0, sp.Ne(u, -1)), (1, True)),
    ),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_functions_in_pieces_and_constant_slopes_are_computed_on_balls(name):
    definition, slope = DEFINITIONS[name]
    register_elementwise("on_balls_test", definition)
    derivation = trace("l = sum(on_balls_test(x) * w)", x=("N", "D"), w=("N", "D")).vjp()
    run = on_balls(value_and_grad(derivation, backend="numpy").source)
    x, w = np.array([[-3.0, -1.0, 0.5, 2.0]]), np.array([[1.0, 2.0, -1.0, 3.0]])
    with precise():
        value, gradients = run(x=exact(x), w=exact(w))
    expected = [[float(f(sp.Float(v, 30))) for v in x[0]] for f in (definition, slope)]
    assert float(value.item().mid()) == pytest.approx(np.dot(expected[0], w[0]), rel=1e-14)
    np.testing.assert_allclose(
        [float(ball.mid()) for ball in gradients["x"][0]], np.multiply(expected[1], w[0]), rtol=1e-14
    )


def test_a_comparison_of_balls_that_overlap_is_refused():
    source = "def value_and_grad(a, b):\n    return np.where(a == b, 1, 2), {}"
    wide = np.array([arb(1, 0.5)], dtype=object)
    with pytest.raises(UndecidedError):
        on_balls(source)(wide, exact([1.25]))
    assert on_balls(source)(wide, exact([2.0]))[0][0] == 2


def test_an_indefinite_or_wide_matrix_is_not_positive_definite():
    with precise():
        assert is_positive_definite(exact([[2.0, 1.0], [1.0, 2.0]]), np.eye(2))
        assert not is_positive_definite(exact([[1.0, 2.0], [2.0, 1.0]]), np.eye(2))
        wide = exact([[1.0, 0.0], [0.0, 1.0]])
        wide[0, 0] = wide[0, 0].union(-wide[0, 0])
        assert not is_positive_definite(wide, np.eye(2))


def test_a_point_that_is_not_stationary_is_unproved_and_stays_where_it_is():
    architecture = Architecture((1, 2, 1), "sigmoid")
    wrong = {
        "W1": np.array([[0.3, 1.0]]),
        "b1": np.array([0.1, -2.0]),
        "W2": np.ones((2, 1)),
        "b2": np.zeros(1),
    }
    certificate = certify(architecture, DATA, wrong)
    assert certificate.verdict == "unproved"
    assert certificate.gradient_norm > 0.1
    assert np.isnan(certificate.radius)
    np.testing.assert_array_equal(certificate.parameters["W1"], wrong["W1"])
    verify(certificate, DATA)


def test_an_isolated_saddle_and_a_minimum_are_told_apart():
    shapes = {"p": (1, 1), "q": (1, 1)}
    for sign, minimum in (("-", False), ("+", True)):
        source = f"l = sum((p - 0.3) ** 2) {sign} sum((q + 0.7) ** 2) + sum(p * q) / 2"
        objective = Objective(shapes, {}, *derived(source, ("p", "q"), tuple(shapes.items())))
        point = newton(objective, np.array([0.4, 0.2]))
        proof = prove(objective, measure(objective, point))
        assert proof.minimum == minimum
        assert (proof.curvature < 0) != minimum
        np.testing.assert_allclose(objective.value_and_gradient(point)[1], 0, atol=1e-15)
        assert prove(objective, measure(objective, point + 0.1)) is None


@pytest.mark.parametrize(("power", "sign"), [(42, 1), (42, -1), (43, 1)])
def test_a_zero_that_float64_has_no_box_for_is_proved_in_more_digits(power, sign):
    # e²/2^power ± e³ with e = 3p - 1000 is lowest at p = 1000/3 and highest so near that no wider box has one zero.
    source = f"e = 3*p - a\nl = sum(e**2)/2**{power} {'+' if sign > 0 else '-'} sum(e**3)"
    traced = derived(source, ("p",), (("p", (1, 1)), ("a", (1, 1))))
    objective = Objective({"p": (1, 1)}, {"a": np.array([[1000.0]])}, *traced)
    point = np.array([1000 / 3])
    proof = prove(objective, measure(objective, point))
    low, high = Fraction(1000, 3), Fraction(1000, 3) - Fraction(2 * sign, 9 * 2**power)
    inside = [abs(zero - Fraction(point[0])) <= proof.reach for zero in (low, high)]
    assert proof.minimum == inside[0]
    assert inside == [proof.minimum, not proof.minimum]
    assert proof.away > proof.radius / 2
    assert prove(objective, measure(objective, point + 1e-9)) is None


@pytest.mark.thorough
def test_a_minimum_of_five_units_with_a_nearly_singular_hessian_is_proved():
    parameters = {
        "W1": np.array([[0.24727, 0.74368, 0.81788, 1.66748, 4.63311]]),
        "b1": np.array([-4.41951, -5.93166, -6.12099, -5.54468, -2.84694]),
        "W2": np.array([[43.25434], [-48.01938], [40.81363], [-3.31423], [0.88413]]),
        "b2": np.array([-0.41663]),
    }
    certificate = certify(Architecture((1, 5, 1), "sigmoid"), DATA, parameters)
    assert certificate.verdict == "minimum"
    assert certificate.spectrum[-1] > 1e15 * certificate.spectrum[0] > 0
    assert "a point that Newton's method finds" in certificate.because
    verify(certificate, DATA)


def test_a_saddle_in_a_flat_place_is_proved_by_its_gradient_and_one_direction():
    x = np.linspace(-1, 1, 9)[:, None]
    data = Dataset(Sample(x, x), Sample(x, x))  # y is odd: with all weights 0 the gradient is exactly 0
    zero = {"W1": np.zeros((1, 1)), "b1": np.zeros(1), "W2": np.zeros((1, 1)), "b2": np.zeros(1)}
    certificate = certify(Architecture((1, 1, 1), "tanh"), data, zero)
    assert certificate.verdict == "saddle"
    assert certificate.spectrum[0] == pytest.approx(-2 * float(np.mean(x * x)))


def test_merging_units_are_a_limit_at_infinity_approached_as_the_square():
    certificate = load_atlas(2).entries[0].certificate
    limit = certificate.limit
    assert certificate.verdict == "limit at infinity"
    assert limit.kind == "merging units"
    assert limit.slope > 0
    assert np.all(np.diff(limit.losses) < 0)
    assert np.all(limit.losses > limit.loss)
    assert certificate.loss > limit.loss
    assert limit.exponent == pytest.approx(2, abs=0.01)
    assert replace(limit, losses=np.full_like(limit.losses, limit.loss)).exponent == np.inf
    # The limit function by hand, and SciPy's minimum of its loss.
    p = {name: float(values[0, 0]) for name, values in limit.parameters.items()}
    x, y = DATA.train.x[:, 0], DATA.train.y[:, 0]
    s = 1 / (1 + np.exp(-(p["w"] * x + p["b"])))
    curve = p["c"] + p["a"] * s + (p["alpha"] + p["beta"] * x) * s * (1 - s)
    np.testing.assert_allclose(limit.curve(DATA.train.x), curve, rtol=1e-11, atol=1e-12)
    assert np.mean((curve - y) ** 2) == pytest.approx(limit.loss, rel=1e-12)
    design = np.column_stack([np.ones(100), s, s * (1 - s), x * s * (1 - s)])
    assert np.mean((design @ np.linalg.lstsq(design, y, rcond=None)[0] - y) ** 2) == pytest.approx(
        limit.loss, rel=1e-12
    )
    near = limit.network(0.01, DATA.train.x)
    units = 1 / (1 + np.exp(-(DATA.train.x @ near["W1"] + near["b1"])))
    assert limit.loss < np.mean((units @ near["W2"] + near["b2"] - DATA.train.y) ** 2) < limit.loss + 1e-3


@pytest.mark.thorough
def test_a_unit_that_is_constant_leaves_a_flat_manifold():
    architecture, parameters = best(1, 40)
    W1, b1, W2, b2 = parameters.values()
    larger = {
        "W1": np.column_stack([W1, [[5.0]]]),
        "b1": np.append(b1, 900.0),
        "W2": np.vstack([W2, [[0.25]]]),
        "b2": b2 - 0.25,
    }
    certificate = certify(Architecture((1, 2, 1), architecture.activation), DATA, larger)
    assert certificate.verdict == "flat manifold"
    assert certificate.dimension == 3
    assert "constant" in certificate.because


def with_copy(parameters, share):
    W1, b1, W2, b2 = parameters.values()
    return {
        "W1": np.column_stack([W1, W1]),
        "b1": np.append(b1, b1),
        "W2": np.vstack([share * W2, (1 - share) * W2]),
        "b2": b2,
    }


@pytest.mark.parametrize("share", [-1.0, 0.3, 0.5, 3.0])
def test_a_unit_beside_its_copy_is_a_saddle_with_lower_losses_on_both_sides(share):
    architecture, parameters = best(1, 40)
    single = certify(architecture, DATA, parameters)
    certificate = certify(Architecture((1, 2, 1), "sigmoid"), DATA, with_copy(single.parameters, share))
    assert certificate.loss == pytest.approx(single.loss, rel=1e-14)
    assert certificate.verdict == "saddle"
    lowest = np.linalg.eigh(torch_hessian(certificate))[1][:, 0]
    flat = np.concatenate([values.ravel() for values in certificate.parameters.values()])
    for step in (-0.01, 0.01):
        parts = np.split(flat + step * lowest, [2, 4, 6])
        moved = [
            torch.tensor(part.reshape(shape))
            for part, shape in zip(parts, [(1, 2), 2, (2, 1), 1], strict=True)
        ]
        assert torch_loss(moved) < certificate.loss
    verify(certificate, DATA)


@pytest.mark.parametrize("activation", one_in(2, ["sigmoid", "gelu"]))
def test_a_network_with_all_weights_zero_is_a_saddle(activation):
    x = np.linspace(-2, 2, 25)[:, None]
    data = Dataset(Sample(x, np.sin(2 * x) + x), Sample(x, x))
    zero = {
        "W1": np.zeros((1, 2)),
        "b1": np.zeros(2),
        "W2": np.zeros((2, 1)),
        "b2": data.train.y.mean(axis=0),
    }
    certificate = certify(Architecture((1, 2, 1), activation), data, zero)
    assert certificate.verdict == "saddle"
    assert certificate.spectrum[0] < 0


def teacher(activation, n=25):
    """Noise-free data of a network with one unit, with that network's parameters."""
    x = np.linspace(-2, 2, n)[:, None]
    parameters = {
        "W1": np.array([[1.3]]),
        "b1": np.array([0.4]),
        "W2": np.array([[2.0]]),
        "b2": np.array([-0.5]),
    }
    architecture = Architecture((1, 1, 1), activation)
    y = Restart(architecture, 0, parameters, 0.0, 0.0, 0.0, 0, "").predict(x)
    return architecture, Dataset(Sample(x, y), Sample(x, y)), parameters


@pytest.mark.parametrize(
    ("activation", "verdict", "dimension"),
    [
        ("sigmoid", "minimum", 0),
        ("tanh", "minimum", 0),
        ("relu", "flat manifold", 1),
        ("identity", "flat manifold", 2),
    ],
)
def test_a_unit_that_made_the_data_is_a_minimum_up_to_the_scale_of_its_activation(
    activation, verdict, dimension
):
    architecture, data, parameters = teacher(activation)
    certificate = certify(architecture, data, parameters)
    assert (certificate.verdict, certificate.dimension) == (verdict, dimension)
    assert certificate.loss < 1e-28


@pytest.mark.parametrize(
    ("change", "words", "dimension"),
    one_in(
        3,
        [
            ({"W1": 0.3, "b1": -1.2, "W2": 0.0}, "has no output weight", 2),
            ({"W1": 0.0, "b1": 0.7, "W2": 0.5}, "is constant", 2),
            ({"W1": 1.3, "b1": 0.4, "W2": 0.8}, "doubles another", 1),
        ],
    ),
)
def test_more_units_than_made_the_data_leave_a_flat_manifold_on_which_the_loss_is_zero(
    change, words, dimension
):
    _, data, parameters = teacher("tanh")
    larger = {
        name: np.concatenate([parameters[name], np.full_like(parameters[name], value)], axis=-1)
        for name, value in change.items()
        if name != "W2"
    }
    constant = change["W2"] * np.tanh(change["b1"]) * (change["W1"] == 0)
    kept = 2.0 - change["W2"] * (change["W1"] == 1.3)
    larger |= {"W2": np.array([[kept], [change["W2"]]]), "b2": np.array([-0.5 - constant])}
    certificate = certify(Architecture((1, 2, 1), "tanh"), data, larger)
    assert certificate.loss < 1e-28
    assert (certificate.verdict, certificate.dimension) == ("flat manifold", dimension)
    assert words in certificate.because


@pytest.mark.parametrize("points", one_in(3, [1, 2, 3, 4]))
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus"])
def test_networks_that_go_through_all_points_form_a_flat_manifold(activation, points):
    stream = np.random.default_rng(points)
    sample = Sample(stream.normal(size=(points, 1)), stream.normal(size=(points, 1)))
    data, architecture = Dataset(sample, sample), Architecture((1, 3, 1), activation)
    ensemble = fit(architecture, data, restarts=10, seed=0, method="levenberg-marquardt")
    certificate = certify(architecture, data, ensemble.best().parameters)
    assert (certificate.verdict, certificate.dimension) == ("flat manifold", 10 - points)
    assert certificate.loss < 1e-24
    verify(certificate, data)


def test_a_linear_model_is_the_least_squares_fit_and_flat_where_inputs_depend_on_each_other():
    stream = np.random.default_rng(3)
    x, y = stream.normal(size=(30, 2)), stream.normal(size=(30, 2))
    for inputs, verdict, dimension in (
        (x, "minimum", 0),
        (np.column_stack([x, x[:, 0] - 2 * x[:, 1]]), "flat manifold", 2),
        (np.column_stack([x, np.full(30, 3.0)]), "flat manifold", 2),
    ):
        data = Dataset(Sample(inputs, y), Sample(inputs, y))
        architecture = Architecture((inputs.shape[1], 2), "identity")
        ensemble = fit(architecture, data, restarts=1, seed=0, method="levenberg-marquardt")
        certificate = certify(architecture, data, ensemble.best().parameters)
        design = np.column_stack([inputs, np.ones(30)])
        best_fit = design @ np.linalg.lstsq(design, y, rcond=None)[0]
        assert certificate.loss == pytest.approx(np.mean((best_fit - y) ** 2), rel=1e-12)
        assert (certificate.verdict, certificate.dimension) == (verdict, dimension)


def test_a_dead_unit_of_relu_is_free_but_one_at_its_kink_is_not():
    _, data, parameters = teacher("relu")
    for bias, verdict, dimension in ((-9.0, "flat manifold", 4), (0.0, "unproved", 0)):
        larger = {
            "W1": np.column_stack([parameters["W1"], [[float(bias != 0)]]]),
            "b1": np.append(parameters["b1"], bias),
            "W2": np.vstack([parameters["W2"], [[float(bias != 0)]]]),
            "b2": parameters["b2"],
        }
        certificate = certify(Architecture((1, 2, 1), "relu"), data, larger)
        assert (certificate.verdict, certificate.dimension) == (verdict, dimension)


def test_relu_is_judged_up_to_positive_scaling_or_not_at_all():
    architecture, parameters = best(2, 20, "relu")
    certificate = certify(architecture, DATA, parameters)
    assert certificate.verdict in {"flat manifold", "unproved"}
    assert certificate.because


def test_too_many_parameters_are_unproved_with_their_numbers():
    architecture, parameters = best(21, 1)
    certificate = certify(architecture, DATA, parameters)
    assert certificate.verdict == "unproved"
    assert "gradient norm" in certificate.because


@pytest.mark.parametrize(
    "name", ["loss", "test_loss", "parameter_norm", "radius", "decrement", "dimension", "verdict"]
)
def test_an_altered_number_is_named(name):
    certificate = load_atlas(1).entries[0].certificate
    stored = getattr(certificate, name)
    changed = {"verdict": "saddle", "dimension": 1}.get(
        name, stored if isinstance(stored, str) else stored * 1.01 + 1e-8
    )
    with pytest.raises(CertificateError, match=name):
        verify(replace(certificate, **{name: changed}), DATA)


@pytest.mark.parametrize(
    ("entry", "number", "altered"),
    [(0, "0.0795708343625", "0.0795709343625"), (0, "2.86", "2.96"), (1, "1e-06 of", "1e-03 of")],
)
def test_an_altered_number_in_the_reason_is_found(entry, number, altered):
    certificate = load_atlas(2).entries[entry].certificate
    assert certificate.because.count(number) == 1
    verify(certificate, DATA)
    wrong = replace(certificate, because=certificate.because.replace(number, altered))
    with pytest.raises(CertificateError, match="because is stored as"):
        verify(wrong, DATA)


@pytest.mark.parametrize(
    ("stored", "again", "alike"),
    [
        ("6 of 7 eigenvalues are negative", "5 of 7 eigenvalues are negative", False),
        ("a network with 2 units", "a network with 3 units", False),
        ("exactly one zero within 1e-07 of each", "exactly one zero within 1e-08 of each", True),
        ("whose loss 0.0795708343625 is", "whose loss 0.0795708343626 is", True),
        ("whose loss 0.0795708343625 is", "whose loss 0.0795708353625 is", False),
        ("eigenvalue is about 2.46e-06", "eigenvalue is about 2.45e-06", True),
        ("eigenvalue is about 2.46e-06", "eigenvalue is about -2.46e-06", False),
    ],
)
def test_numbers_in_a_reason_are_compared_by_their_digits(stored, again, alike):
    with nullcontext() if alike else pytest.raises(CertificateError, match="because is stored as"):
        check_numbers("the certificate", compared_reasons(stored, again), rounding=0.0)


def test_an_altered_parameter_limit_or_data_set_is_found():
    certificate = load_atlas(2).entries[0].certificate
    limit = replace(certificate.limit, loss=certificate.limit.loss * (1 + 1e-8))
    with pytest.raises(CertificateError, match=r"limit\.loss"):
        verify(replace(certificate, limit=limit), DATA)
    wrong = certificate.parameters | {"b2": certificate.parameters["b2"] + 1e-6}
    with pytest.raises(CertificateError):
        verify(replace(certificate, parameters=wrong), DATA)
    for name, values in certificate.parameters.items():
        wrong = certificate.parameters | {name: values * 1.0001}
        with pytest.raises(CertificateError, match="parameters or parameter_norm is stored as"):
            verify(replace(certificate, parameters=wrong), DATA)
    with pytest.raises(CertificateError):
        verify(certificate, noisy_sine(seed=2))


@pytest.mark.parametrize("name", ["W1", "b1", "W2", "b2"])
def test_an_altered_parameter_of_a_minimum_is_named(name):
    certificate = load_atlas(2).entries[1].certificate
    assert certificate.verdict == "minimum"
    wrong = certificate.parameters | {name: certificate.parameters[name] * 1.0001}
    with pytest.raises(CertificateError, match=re.escape(f"parameters['{name}'] is stored as")):
        verify(replace(certificate, parameters=wrong), DATA)


def altered(limit, name):
    """The limit with one of its parts changed as little as must be noticed."""
    value = getattr(limit, name)
    if name == "parameters":
        return replace(limit, parameters=value | {"beta": value["beta"] * (1 + 1e-6)})
    changes = {
        "architecture": Architecture((1, 2, 1), "tanh"),
        "kind": "step",
        "steps": (Step(3.0, at=False),),
        "radius": limit.radius * 1.5,
    }
    return replace(limit, **{name: changes.get(name, value if name in changes else value * 1.02)})


@pytest.mark.parametrize("name", one_in(3, [field.name for field in fields(Limit)]))
def test_an_altered_limit_is_named(name):
    certificate = load_atlas(2).entries[0].certificate
    changed = replace(certificate, limit=altered(certificate.limit, name))
    with pytest.raises(CertificateError, match="limit" if name == "kind" else rf"limit\.{name}"):
        verify(changed, DATA)


def test_a_limit_that_is_missing_or_does_not_belong_there_is_found():
    limiting, minimum = load_atlas(2).entries[0].certificate, load_atlas(2).entries[1].certificate
    for wrong in (replace(limiting, limit=None), replace(minimum, limit=limiting.limit)):
        with pytest.raises(CertificateError, match="limit is stored as"):
            verify(wrong, DATA)
    parameters = {name: values for name, values in limiting.limit.parameters.items() if name != "beta"}
    with pytest.raises(CertificateError, match=r"limit\.parameters"):
        verify(replace(limiting, limit=replace(limiting.limit, parameters=parameters)), DATA)


@pytest.mark.thorough
def test_every_eigenvalue_counts_however_small_beside_the_largest():
    certificate = load_atlas(3).entries[0].certificate
    for place in (0, 1, -1):
        spectrum = certificate.spectrum.copy()
        spectrum[place] *= 1 + 1e-5
        with pytest.raises(CertificateError, match="spectrum"):
            verify(replace(certificate, spectrum=spectrum), DATA)


def test_eigenvalues_that_another_eigensolver_rounds_otherwise_are_the_same():
    certificate = load_atlas(50).entries[0].certificate
    spectrum = certificate.spectrum
    rounding = np.sqrt(len(spectrum)) * np.finfo(float).eps * spectrum.max()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, len(spectrum)) * rounding
    verify(replace(certificate, spectrum=spectrum + noise), DATA)
    for place in (0, -1):
        changed = spectrum.copy()
        changed[place] += 3 * rounding + 3e-6 * abs(spectrum[place])
        with pytest.raises(CertificateError, match=re.escape(f"spectrum is stored as {changed!r}, but")):
            verify(replace(certificate, spectrum=changed), DATA)


@pytest.mark.parametrize("parameters", [{}, {"W1": np.full((1, 1), np.nan)}, {"W1": np.ones((1, 2))}])
def test_parameters_that_are_missing_or_no_numbers_make_a_certificate_stale(parameters):
    certificate = load_atlas(1).entries[0].certificate
    kept = {name: values for name, values in certificate.parameters.items() if name != "W1"}
    with pytest.raises(CertificateError, match=r"W1 .*make it again"):
        verify(replace(certificate, parameters=kept | parameters), DATA)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("name", ["loss", "test_loss", "gradient_norm", "decrement", "spectrum", "radius"])
def test_a_number_that_is_not_finite_is_named(name, bad):
    certificate = load_atlas(1).entries[0].certificate
    stored = np.full(4, bad) if name == "spectrum" else bad
    with pytest.raises(CertificateError, match=f"{name} is stored as"):
        verify(replace(certificate, **{name: stored}), DATA)


def test_a_whole_number_that_no_float_holds_is_named():
    certificate = load_atlas(1).entries[0].certificate
    with pytest.raises(CertificateError, match="loss is stored as 1000"):
        verify(replace(certificate, loss=10**400), DATA)


def test_parameters_at_which_the_loss_overflows_are_refused():
    certificate = load_atlas(1).entries[0].certificate
    parameters = certificate.parameters | {"W2": np.full((1, 1), 1e308)}
    with pytest.raises(CertificateError, match="overflows at these parameters"):
        verify(replace(certificate, parameters=parameters), DATA)


def test_an_altered_loss_is_named_however_small_the_targets():
    small = Dataset(*(Sample(part.x, part.y * 1e-7) for part in (DATA.train, DATA.test)))
    W1, b1, W2, b2 = load_atlas(1).entries[0].certificate.parameters.values()
    parameters = {"W1": W1, "b1": b1, "W2": W2 * 1e-7, "b2": b2 * 1e-7}
    certificate = certify(Architecture((1, 1, 1), "sigmoid"), small, parameters)
    verify(certificate, small)
    with pytest.raises(CertificateError, match=r"loss is stored as 0\.0"):
        verify(replace(certificate, loss=0.0), small)


@pytest.mark.parametrize(
    "change", [lambda p: dict(reversed(p.items())), lambda p: p | {"W9": np.ones((1, 1))}]
)
def test_parameters_in_another_order_or_of_no_layer_are_refused(change):
    certificate = load_atlas(1).entries[0].certificate
    with pytest.raises(CertificateError, match="parameters is stored as"):
        verify(replace(certificate, parameters=change(certificate.parameters)), DATA)


@pytest.mark.parametrize("apart", [1e-7, 1e-5])
def test_a_unit_beside_nearly_its_copy_is_not_called_flat_where_the_loss_falls(apart):
    W1, b1, W2, b2 = load_atlas(1).entries[0].certificate.parameters.values()
    parameters = {
        "W1": W1 * [[1 + apart, 1 - apart]],
        "b1": b1 * [1 + apart, 1 + apart / 3],
        "W2": W2 * [[0.5], [0.5]],
        "b2": b2,
    }
    certificate = certify(Architecture((1, 2, 1), "sigmoid"), DATA, parameters)
    assert certificate.spectrum[0] < 0
    # Polished on some machines it becomes the copy itself, which is a saddle.
    assert certificate.verdict in {"unproved", "saddle"}


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 3, 2, 5, 4, 6, 7]])
def test_a_step_beside_points_that_share_an_x_is_no_limit_where_steep_networks_are_better(order):
    x = np.array([-1, -1, 0, 0, 1, 1, 2, 2.0])[order, None]
    y = np.array([0, 0, -0.1, 0.5, 1.1, 0.5, 1, 1.0])[order, None]
    steep = {"W1": [[20.0]], "b1": [-10.0], "W2": [[0.4]], "b2": [0.5]}
    parameters = {name: np.array(value) for name, value in steep.items()}
    sample = Sample(x, y)
    certificate = certify(Architecture((1, 1, 1), "tanh"), Dataset(sample, sample), parameters)
    assert certificate.verdict == "unproved"


@pytest.mark.parametrize("weight", [1.0, 100.0])
def test_a_unit_in_its_tail_is_not_called_constant_where_the_loss_falls(weight):
    W1, b1, W2, b2 = load_atlas(1).entries[0].certificate.parameters.values()
    parameters = {
        "W1": np.column_stack([W1, [[1.0]]]),
        "b1": np.append(b1, -14 - 4 * np.pi),
        "W2": np.vstack([W2, [[weight]]]),
        "b2": b2,
    }
    assert certify(Architecture((1, 2, 1), "sigmoid"), DATA, parameters).verdict == "unproved"


@pytest.mark.parametrize(
    ("entry", "weight", "bias", "out"),
    one_in(4, [(0, 1.0, -2.0, 0.0), (0, 0.0, 0.0, 0.0), (2, 0.0, 0.0, 0.0), (2, 0.1, -18.0, 0.5)]),
)
def test_a_limit_is_none_where_a_further_unit_lets_the_loss_fall(entry, weight, bias, out):
    W1, b1, W2, b2 = load_atlas(2).entries[entry].certificate.parameters.values()
    parameters = {
        "W1": np.column_stack([W1, [[weight]]]),
        "b1": np.append(b1, bias),
        "W2": np.vstack([W2, [[out]]]),
        "b2": b2,
    }
    assert certify(Architecture((1, 3, 1), "sigmoid"), DATA, parameters).verdict == "unproved"


def test_parameters_at_which_a_step_overflows_are_unproved():
    W1, b1, W2, b2 = load_atlas(1).entries[0].certificate.parameters.values()
    parameters = {
        "W1": np.column_stack([W1, W1 / 2]),
        "b1": np.append(b1, b1),
        "W2": np.vstack([W2, [[1e150]]]),
        "b2": b2,
    }
    assert certify(Architecture((1, 2, 1), "sigmoid"), DATA, parameters).verdict == "unproved"


@pytest.mark.thorough
def test_a_function_of_the_reader_that_is_called_like_a_derivative_stays_what_it_is():
    mine = register_elementwise("sigmoid_d1", lambda u: 5 * sp.tanh(u))
    given = {"W1": [[1, 1.01]], "b1": [0.3, 0.31], "W2": [[100.0], [-102.0]], "b2": [0.0]}
    parameters = {name: np.array(values) for name, values in given.items()}
    certify(Architecture((1, 2, 1), "sigmoid"), DATA, parameters)
    assert elementwise("sigmoid_d1") is mine


@pytest.mark.thorough
@pytest.mark.parametrize("name", one_in(3, ["ball", "erf", "_ball"]))
def test_an_activation_may_be_called_like_what_code_on_balls_uses(name):
    register_elementwise(name, lambda u: u * (1 + sp.erf(u / sp.sqrt(2))) / 2)
    parameters = best(1, 3, "gelu")[1]
    losses = [
        certify(Architecture((1, 1, 1), activation), DATA, parameters).loss for activation in ("gelu", name)
    ]
    assert losses[0] == losses[1]


@pytest.mark.thorough
def test_an_activation_that_is_registered_anew_has_limits_of_its_own():
    parameters = load_atlas(2).entries[0].certificate.parameters
    for steepness in (1, 3):
        register_elementwise("steeper", lambda u, c=steepness: 1 / (1 + sp.exp(-c * u)))
        scaled = parameters | {name: parameters[name] / steepness for name in ("W1", "b1")}
        found = certify(Architecture((1, 2, 1), "steeper"), DATA, scaled)
        assert found.verdict == "limit at infinity"
        errors = found.limit.curve(DATA.train.x) - DATA.train.y[:, 0]
        assert np.mean(errors**2) == pytest.approx(load_atlas(2).entries[0].certificate.limit.loss, rel=1e-12)


def test_bad_input_is_refused():
    architecture = Architecture((1, 2, 1), "sigmoid")
    good = fit(architecture, DATA, restarts=1, seed=0, method="bfgs", max_iterations=5).best().parameters
    steep = Dataset(Sample(DATA.train.x, DATA.train.y * 1e200), DATA.test)
    for wrong, found in (
        ((architecture, DATA, {}), "W1"),
        ((architecture, DATA, None), "parameters = None: give a mapping from W1"),
        ((architecture, None, good), "Dataset"),
        (("1-2-1 sigmoid", DATA, good), "architecture = '1-2-1 sigmoid': give an Architecture"),
        ((architecture, steep, good), "loss = inf: .* overflows at these parameters; scale the data"),
    ):
        with pytest.raises(InvalidInputError, match=found):
            certify(*wrong)


def test_a_certificate_predicts_what_its_loss_says():
    certificate = load_atlas(3).entries[0].certificate
    errors = certificate.predict(DATA.train.x) - DATA.train.y
    assert np.mean(errors**2) == pytest.approx(certificate.loss, rel=1e-12)


@pytest.mark.parametrize("change", [lambda p: {"W1": p["W1"]}, lambda p: p | {"W1": np.ones((1, 2))}])
def test_parameters_of_another_network_predict_nothing(change):
    certificate = load_atlas(1).entries[0].certificate
    parameters = change(certificate.parameters)
    restart = Restart(certificate.architecture, 0, parameters, 0.0, 0.0, 0.0, 0, "converged")
    for network in (replace(certificate, parameters=parameters), restart):
        with pytest.raises(ShapeError, match=r"parameters have .* but 1-1-1 sigmoid needs"):
            network.predict(DATA.test.x)


@pytest.mark.parametrize(
    ("bound", "shown"),
    [
        (2.86599, "2.86"),
        (2.973, "2.97"),
        (0.6789, "0.678"),
        (0.001, "0.00100"),
        (12.399, "12.3"),
        (2.5e-9, "2.50e-9"),
    ],
)
def test_a_lower_bound_is_rounded_down(bound, shown):
    assert _rounded_down(bound) == shown
    assert float(shown) <= bound


def test_a_limit_is_said_to_be_lowest_near_it_only_and_its_slope_is_a_lower_bound():
    for entry in (entry for units in (2, 3) for entry in load_atlas(units).entries):
        limit, because = entry.certificate.limit, entry.certificate.because
        if limit is not None:
            assert "near the limit every network has a larger loss" in because
            bound = float(re.search(r"a slope of at least ([\d.]+) in", because)[1])
            assert 0.99 * limit.slope < bound <= limit.slope
