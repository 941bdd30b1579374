"""Restarts with the same loss and the same function are one optimum, whatever the order of their units."""

from dataclasses import replace

import numpy as np
import pytest

from mlpreport.data import noisy_sine
from mlpreport.errors import InvalidInputError
from mlpreport.training import Architecture, fit
from mlpreport.training.certificates import verify
from mlpreport.training.optima import group_optima, wilson

DATA = noisy_sine()


@pytest.fixture(scope="module")
def ensemble():
    return fit(Architecture((1, 2, 1), "sigmoid"), DATA, restarts=40, seed=0, method="levenberg-marquardt")


def test_groups_hold_every_restart_once_by_rising_loss(ensemble):
    groups = group_optima(ensemble, DATA.train.x, tolerance=1e-3)
    assert sorted(index for group in groups for index in group.members) == list(range(40))
    assert [group.loss for group in groups] == sorted(group.loss for group in groups)
    assert groups[0].loss == ensemble.losses.min()
    assert sum(group.share for group in groups) == pytest.approx(1)
    assert all(group.count == len(group.members) for group in groups)
    assert 1 < len(groups) < 40


def test_members_share_loss_and_function_and_groups_do_not(ensemble):
    fits = ensemble.predict(DATA.train.x)[..., 0]
    groups = group_optima(ensemble, DATA.train.x, tolerance=1e-3)
    for group in groups:
        distances = np.sqrt(np.mean((fits[list(group.members)] - fits[group.members[0]]) ** 2, axis=1))
        assert distances.max() <= 1e-3
    firsts = np.array([fits[group.members[0]] for group in groups])
    apart = np.sqrt(np.mean((firsts[:, None] - firsts) ** 2, axis=-1)) + np.eye(len(groups))
    assert apart.min() > 1e-3


def test_permuted_units_and_flipped_signs_are_the_same_optimum(ensemble):
    W1, b1, W2, b2 = (values[:1] for values in ensemble.parameters.values())
    permuted = {"W1": W1[..., ::-1], "b1": b1[..., ::-1], "W2": W2[:, ::-1], "b2": b2}
    # sigmoid(-z) = 1 - sigmoid(z)
    flipped = {"W1": -W1, "b1": -b1, "W2": -W2, "b2": b2 + W2.sum(axis=1)}
    forms = [{"W1": W1, "b1": b1, "W2": W2, "b2": b2}, permuted, flipped]
    three = replace(
        fit(ensemble.architecture, DATA, restarts=3, seed=0, method="bfgs", max_iterations=0),
        parameters={name: np.concatenate([form[name] for form in forms]) for name in permuted},
        losses=ensemble.losses[[0, 0, 0]],
    )
    (group,) = group_optima(three, DATA.train.x, tolerance=1e-9)
    assert group.members == (0, 1, 2)


@pytest.mark.thorough
def test_many_restarts_are_grouped_as_if_all_were_compared_at_once():
    many = fit(
        Architecture((1, 1, 1), "sigmoid"), DATA, restarts=9000, seed=1, method="bfgs", max_iterations=4
    )
    fits, roots = many.predict(DATA.train.x)[..., 0], np.sqrt(many.losses)
    rest, expected = np.argsort(many.losses, kind="stable"), []
    while rest.size:
        distances = np.sqrt(np.mean((fits[rest] - fits[rest[0]]) ** 2, axis=1))
        same = (distances <= 0.03) & (roots[rest] - roots[rest[0]] <= 0.03)
        expected.append(tuple(rest[same].tolist()))
        rest = rest[~same]
    groups = group_optima(many, DATA.train.x, tolerance=0.03)
    assert len(groups) > 10
    assert [group.members for group in groups] == expected


def test_some_restarts_predict_what_they_predict_among_all(ensemble):
    chosen = np.array([7, 0, 39])
    np.testing.assert_array_equal(
        ensemble.predict(DATA.test.x, restarts=chosen), ensemble.predict(DATA.test.x)[chosen]
    )
    low = ensemble.losses < np.median(ensemble.losses)
    np.testing.assert_array_equal(
        ensemble.predict(DATA.test.x, restarts=low), ensemble.predict(DATA.test.x)[low]
    )


@pytest.mark.parametrize("wrong", [[-1], [0, 1_000_000], [0.5], [2.0]])
def test_a_restart_that_is_none_predicts_nothing(ensemble, wrong):
    with pytest.raises(
        InvalidInputError, match=r"restarts: index = .*: must be a whole number of at least 0"
    ):
        ensemble.predict(DATA.test.x, restarts=np.array(wrong))


def test_a_mask_of_other_restarts_is_refused(ensemble):
    with pytest.raises(
        InvalidInputError, match="a mask of 2, but there are 40 restarts; give one entry each"
    ):
        ensemble.predict(DATA.test.x, restarts=np.array([True, False]))


def test_equal_losses_with_different_functions_are_two_optima(ensemble):
    same_loss = replace(ensemble, losses=np.full(40, 0.5))
    assert len(group_optima(same_loss, DATA.train.x, tolerance=1e-3)) > 1


def test_restarts_that_are_not_finite_count_in_the_share_but_are_in_no_group(ensemble):
    losses = ensemble.losses.copy()
    losses[:10] = np.nan
    losses[10] = np.inf
    groups = group_optima(replace(ensemble, losses=losses), DATA.train.x, tolerance=1e-3)
    assert sorted(index for group in groups for index in group.members) == list(range(11, 40))
    assert sum(group.share for group in groups) == pytest.approx(29 / 40)


@pytest.mark.parametrize(
    ("count", "total", "name"), [(0, 0, "total"), (6, 5, "count"), (-1, 5, "count"), (1.5, 5, "count")]
)
def test_a_share_that_is_none_is_refused_by_name(count, total, name):
    with pytest.raises(InvalidInputError, match=f"{name} = "):
        wilson(count, total)


def test_shares_lie_in_their_wilson_intervals(ensemble):
    for group in group_optima(ensemble, DATA.train.x, tolerance=1e-3):
        low, high = group.interval
        n, p, z = 40, group.share, 2.5758293035489004  # two-sided 99 %
        centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        np.testing.assert_allclose([low, high], np.array([centre - half, centre + half]) / (1 + z**2 / n))
        assert low <= p <= high


def test_only_what_fit_and_certify_return_is_grouped_and_verified():
    with pytest.raises(InvalidInputError, match="ensemble = 'a': give an Ensemble, such as fit"):
        group_optima("a", DATA.train.x, tolerance=1e-3)
    with pytest.raises(InvalidInputError, match="certificate = 'a': give a Certificate, such as certify"):
        verify("a", DATA)


@pytest.mark.parametrize("tolerance", [0, -1e-3, np.nan, np.inf, True, "1e-3", None])
def test_a_tolerance_that_is_not_positive_is_refused(ensemble, tolerance):
    with pytest.raises(InvalidInputError, match="tolerance = "):
        group_optima(ensemble, DATA.train.x, tolerance=tolerance)
