import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest

from mlpreport import figures, tables
from mlpreport.benchmark import Benchmark, Contest, Entry, Limit, Machine, Scaling, read_benchmark
from mlpreport.errors import InvalidInputError


def entry(method: str, family: str, milliseconds: float, share: float) -> Entry:
    expected = milliseconds / share if share else None
    return Entry(method, family, "never", {"steps": 5}, 10, milliseconds, share, (0.0, 1.0), 0.07, expected)


def measured() -> Benchmark:
    """A measurement that nobody made."""
    methods = (
        entry("quick", "ours", 1.0, 0.5),
        entry("lucky", "ours", 3.0, 1.0),
        entry("old", "report", 80.0, 0.8),
        entry("other", "peer", 5.0, 0.25),
        entry("never", "peer", 0.001, 0.0),
    )
    return Benchmark(
        "2024-04-07",
        Machine("any", 2, "AVX2", 1.0, 10.0),
        {"numpy": "2"},
        (Contest("[2]", 0.08, "by hand", methods),),
        (Limit("[2]", "bfgs", 200, 3000, 1000.0, 500.0),),
        (Scaling(100, 4000.0, 300.0),),
        5.0,
        0.4,
        3.0,
    )


def test_a_measurement_comes_back_from_its_file_unchanged(tmp_path):
    path = tmp_path / "benchmark.json"
    path.write_text(json.dumps(asdict(measured())))
    assert read_benchmark(path) == measured()


def test_ratios_are_of_expected_running_times_and_count_only_methods_that_succeed():
    contest = measured().contest("[2]")
    assert contest.best("ours").method == "quick"
    assert contest.best("peer").method == "other"
    assert (contest.ratio("report"), contest.ratio("peer")) == (50.0, 10.0)
    assert measured().limits[0].fraction == 0.5


def test_a_family_without_success_has_no_best():
    contest = measured().contest("[2]")
    alone = replace(contest, entries=contest.entries[-1:])
    with pytest.raises(InvalidInputError, match=r"no method of family 'peer' reached 0\.08"):
        alone.best("peer")


def test_an_unknown_architecture_is_refused():
    with pytest.raises(InvalidInputError, match=re.escape("architecture '[4]' is unknown")):
        measured().contest("[4]")


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: stored.pop("date"),
        lambda stored: stored.update(host="name"),
        lambda stored: stored.update(date=7),
        lambda stored: stored["contests"][0]["entries"][0].update(share="half"),
    ],
)
def test_what_is_no_measurement_is_refused_by_name(change, tmp_path):
    stored = asdict(measured())
    change(stored)
    path = tmp_path / "altered.json"
    path.write_text(json.dumps(stored))
    with pytest.raises(InvalidInputError, match=r"altered\.json is no benchmark"):
        read_benchmark(path)
    with pytest.raises(InvalidInputError, match=r"missing\.json is no benchmark"):
        read_benchmark(tmp_path / "missing.json")


def test_the_figure_shows_every_method_that_succeeds_and_no_other():
    (axes,) = figures.bench(measured()).axes
    times = np.concatenate([line.get_xdata() for line in axes.get_lines()])
    assert sorted(times) == [2.0, 3.0, 20.0, 100.0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["old", "other", "lucky", "quick"]
    assert "0.08000" in axes.get_title()


def test_the_table_names_the_best_of_each_family_with_its_ratio():
    found = tables.speed(measured()).rows
    assert found == (("[2]", "quick", "2.000", "50 times", "10.0 times: other", "10.0 times: other"),)


def test_the_table_has_a_column_without_the_methods_that_no_library_has():
    contest = measured().contest("[2]")
    written = entry("JAX Levenberg–Marquardt, vmap", "peer", 4.0, 1.0)
    both = replace(contest, entries=(*contest.entries, written))
    (row,) = tables.speed(replace(measured(), contests=(both,))).rows
    assert row[-2:] == ("2.0 times: JAX Levenberg–Marquardt, vmap", "10.0 times: other")


def test_the_methods_that_no_library_has_are_in_the_measurement():
    methods = {entry.method for contest in read_benchmark().contests for entry in contest.entries}
    assert methods >= tables.WRITTEN_HERE


def test_the_table_says_when_no_other_library_succeeds():
    contest = measured().contest("[2]")
    alone = replace(contest, entries=tuple(entry for entry in contest.entries if entry.method != "other"))
    assert tables.speed(replace(measured(), contests=(alone,))).rows[0][-2:] == ("none succeeded",) * 2
