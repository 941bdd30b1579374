from collections import Counter

import pytest
from examples import optimum, record, result, trained

from mlpreport import tables
from mlpreport.errors import InvalidInputError
from mlpreport.training.atlas import load_atlas


def test_a_table_is_markdown_in_a_page_and_columns_in_a_terminal():
    shown = tables.table(("name", "value"), [("a", 0.123456), ("longer", 3)])
    assert shown._repr_markdown_() == "| name | value |\n| --- | --: |\n| a | 0.1235 |\n| longer | 3 |"
    assert str(shown) == "name    value\na       0.1235\nlonger  3"


def read(text: str) -> float:
    """Read a number that a table shows."""
    plain = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-", ",\N{NO-BREAK SPACE}")
    mantissa, _, power = text.translate(plain).partition("×10")
    return float(f"{mantissa}e{power or 0}")


def test_powers_of_ten_are_set_flush_right_like_other_numbers():
    shown = tables.table(("a", "b"), [(1e-9, "x"), (-12346.0, "y"), (10_000, "z")])
    assert shown._repr_markdown_().splitlines()[1] == "| --: | --- |"
    assert [row[0] for row in shown.rows][1:] == ["−12,350", "10,000"]


def test_errors_are_listed_from_worst_to_best():
    rows = tables.errors(trained()).rows
    losses = [float(row[1]) for row in rows]
    assert losses == sorted(losses, reverse=True)
    assert {"constant", "line", "true sine", "1-2-1 sigmoid"} <= {row[0] for row in rows}


def test_stop_reasons_are_counted():
    shown = tables.restarts(trained())
    for row, part in zip(shown.rows, trained().records, strict=True):
        cells = dict(zip(shown.header, row, strict=True))
        assert cells["restarts"] == "5"
        counts = [stop.split(" ", 1) for stop in cells["stopped"].split(", ")]
        assert {reason: int(count) for count, reason in counts} == Counter(part.stop_reasons)


def test_the_most_frequent_optima_are_listed_lowest_first():
    found = [optimum(0.3, range(50), 60), optimum(0.1, range(8), 60), optimum(0.2, range(2), 60)]
    shown = tables.optima(
        result("two", record("1-2-1 sigmoid", [0.1] * 60, optima=found)), "1-2-1 sigmoid", most=2
    )
    assert [row[0] for row in shown.rows] == ["0.100000", "0.300000"]
    assert shown.rows[1][3:] == ("50", "83.3\N{NO-BREAK SPACE}%", "41.7 to 83.3\N{NO-BREAK SPACE}%")


def test_a_table_without_rows_is_markdown_with_every_column():
    shown = tables.optima(result("two", record("1-2-1 sigmoid", [0.1])), "1-2-1 sigmoid", most=2)
    header, rule = shown._repr_markdown_().splitlines()
    assert rule.count("|") == header.count("|") == 7


def test_basins_without_a_class_are_refused():
    with pytest.raises(InvalidInputError, match="no class to tabulate"):
        tables.basins({})


def test_one_architecture_is_compared_across_results():
    long = result("a", record("1-50-1 sigmoid", [0.2, 0.1], [5, 9]))
    shown = tables.compare({"long": long}, "1-50-1 sigmoid")
    assert shown.rows == (("long", "0.1000", "9.000", "7.000"),)


def test_the_best_seen_is_listed_with_the_restarts_it_is_the_lowest_of():
    atlas = load_atlas(50)
    ((network, restarts, loss, test_loss, _norm),) = tables.best_seen([atlas]).rows
    assert (network, restarts) == ("1-50-1 sigmoid", str(atlas.restarts))
    found = atlas.entries[0].certificate
    assert read(loss) == pytest.approx(found.loss, rel=1e-3)
    assert read(test_loss) == pytest.approx(found.test_loss, rel=1e-3)
