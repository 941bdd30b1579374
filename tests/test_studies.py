from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from mlpreport.data import noisy_sine
from mlpreport.errors import InvalidInputError
from mlpreport.experiments import EXPERIMENTS, WIDTH_STUDY, run
from mlpreport.studies import Arm, Study, check_study, load_study, make_study, making, read_study
from mlpreport.studies.making import StaleStudyError
from mlpreport.training.methods import METHODS

THREE = replace(WIDTH_STUDY[0], restarts=40)


def arm(name, losses, tests):
    losses, tests = np.array(losses, float), np.array(tests, float)
    return Arm(name, {}, losses, tests, places=losses, deviations=tests)


def study(*arms):
    return Study("width-study", "", {}, arms)


@cache
def made():
    return make_study([THREE])


def test_the_best_of_each_set_is_its_lowest_training_error():
    assert arm("a", [3, 1, 2, 9, 8, 7, 0], [0] * 7).best_of(3).tolist() == [1, 5]


def test_a_restart_whose_training_broke_off_is_the_best_of_no_set():
    nan = float("nan")
    assert arm("a", [3, nan, 2, nan, nan, 7], [0] * 6).best_of(3).tolist() == [2, 5]


def test_a_test_error_of_nan_is_worse_than_any_number():
    one, other = arm("one", [1, 1, 1], [np.nan, 1, np.nan]), arm("other", [1, 1, 1], [5, np.nan, np.nan])
    assert study(one, other).worse("one", "other", factor=10, size=1).count == 1
    assert study(one, other).worse("other", "one", factor=10, size=1).count == 1


@pytest.mark.parametrize("factor", [float("nan"), "a", None, -1, 0, True])
def test_a_factor_that_is_no_positive_number_is_refused(factor):
    one = arm("one", [1], [1])
    with pytest.raises(InvalidInputError, match=r"factor = .*must be a finite number of more than 0"):
        study(one).worse("one", "one", factor=factor, size=1)


def test_sets_are_compared_one_by_one():
    one = arm("one", [2, 1, 1, 2, 5, 6], [9, 4, 1, 9, 3, 9])  # best tests 4, 1, 3
    other = arm("other", [1, 2, 1, 2], [1, 9, 2, 9])  # best tests 1, 2
    share = study(one, other).worse("one", "other", factor=1, size=2)
    assert (share.count, share.of) == (1, 2)
    assert study(one, other).worse("one", "other", factor=5, size=2).count == 0


def test_how_many_times_worse_is_the_median_over_sets():
    one = arm("one", [2, 1, 1, 2, 5, 6], [9, 4, 1, 9, 3, 9])  # best tests 4, 1, 3
    other = arm("other", [1, 2, 1, 2, 1, 2], [1, 9, 2, 9, 2, 9])  # best tests 1, 2, 2
    assert study(one, other).times("one", "other", size=2) == 1.5


def test_test_errors_of_nan_are_infinitely_worse_than_numbers_and_equal_to_each_other():
    one, other = arm("one", [1, 1, 1], [np.nan] * 3), arm("other", [1, 1, 1], [np.nan, np.nan, 2])
    assert study(one, other).times("one", "other", size=1) == 1
    assert study(one, arm("two", [1], [2])).times("one", "two", size=1) == np.inf


def test_the_interval_of_a_share_solves_wilsons_equation():
    share = study(arm("a", [1] * 50, [2] * 50), arm("b", [1] * 50, [1] * 50)).worse(
        "a", "b", factor=1, size=1
    )
    assert share.count == share.of == 50
    z = 2.5758293035489004
    assert share.low == pytest.approx(50 / (50 + z**2), rel=1e-9)
    assert str(share).split("\N{NO-BREAK SPACE}") == ["50", "of", "50 (88", "to", "100", "%)"]


def test_an_arm_holds_what_its_restarts_do():
    (part,) = made().arms
    result = run(replace(THREE, restarts=40))
    record = result.records[0]
    np.testing.assert_array_equal(part.losses, record.losses)
    inside = result.grid <= 4 * np.pi
    off = np.abs(record.curve - result.truth)[inside]
    assert part.places[record.best] == result.grid[inside][np.argmax(off)]
    assert part.deviations[record.best] == pytest.approx(off.max(), rel=1e-9)


def test_a_written_study_is_read_to_five_digits():
    again = read_study(made().to_json())
    np.testing.assert_allclose(again["3"].losses, made()["3"].losses, rtol=1e-4)
    assert again.to_json() == made().to_json()


@pytest.mark.parametrize("size", [0, 10**6, 1.5])
def test_sets_of_which_there_is_none_are_refused(size):
    with pytest.raises(InvalidInputError, match=r"size = .*must be a whole number of at least 1 and at most"):
        made()["3"].best_of(size)


def test_an_altered_study_is_refused():
    text = made().to_json()
    number = f"{made()['3'].losses[7]:.5g}"
    assert text.count(number)
    with pytest.raises(InvalidInputError, match="it was altered; make the study again"):
        read_study(text.replace(number, "0.125", 1))
    with pytest.raises(InvalidInputError, match="not a study"):
        read_study("[]")
    with pytest.raises(InvalidInputError, match="arm '4' is unknown"):
        made()["4"]


def test_a_fresh_study_passes_its_check():
    check_study(made(), sample=10, seed=1)


def test_a_study_of_other_data_is_stale():
    with pytest.raises(StaleStudyError, match="other data"):
        check_study(replace(made(), data="x"), sample=1, seed=1)


def test_a_study_of_other_experiments_is_stale():
    other = replace(made().arms[0], description={"method": "guessing"})
    with pytest.raises(StaleStudyError, match="arm '3' of the study is described otherwise"):
        check_study(replace(made(), arms=(other,)), sample=1, seed=1)


def test_a_study_whose_errors_the_code_no_longer_reaches_is_stale():
    worse = replace(made().arms[0], losses=made().arms[0].losses * 100)
    with pytest.raises(StaleStudyError, match="losses of 10 retrained restarts"):
        check_study(replace(made(), arms=(worse,)), sample=10, seed=1)


def test_the_study_of_the_package_has_all_arms_and_belongs_to_the_reports_data():
    kept = load_study()
    assert [part.name for part in kept.arms] == [experiment.name for experiment in WIDTH_STUDY]
    assert kept.data == making.fingerprint(noisy_sine())
    for part, experiment in zip(kept.arms, WIDTH_STUDY, strict=True):
        assert part.description == making._plain(experiment)
        assert len(part.losses) == experiment.restarts


def test_levenberg_and_marquardts_method_is_kept_stopped_early_and_as_long_as_bfgs():
    kept, limit = load_study(), {"levenberg-marquardt": 1_000, "bfgs": 10_000}
    short, long = (kept[f"50{name} Levenberg-Marquardt"] for name in ("", " long"))
    allowed = [
        part.description["max_iterations"] or limit[part.description["method"]] for part in (short, long)
    ]
    assert allowed == [1_000, limit["bfgs"]]
    for method, most in limit.items():
        assert METHODS[method].settings.max_iterations == most


@pytest.mark.thorough
def test_the_first_restarts_of_a_width_are_those_of_the_experiment_widths():
    sizes = {record.sizes: record for record in run(replace(EXPERIMENTS["widths"], restarts=3)).records[:3]}
    np.testing.assert_allclose(load_study()["3"].losses[:3], sizes[1, 3, 1].losses, rtol=1e-4)
