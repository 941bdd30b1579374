import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from examples import optimum, record, result, trained

from mlpreport.errors import EnvironmentProblemError, InvalidInputError
from mlpreport.results import Result


def leaves(value, path=""):
    """Every number and text of a result with the path to it, so that two results can be compared."""
    if isinstance(value, np.ndarray):
        yield path, value.dtype.name, value.shape, value.tobytes()
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}/{key}")
    elif isinstance(value, tuple):
        for place, item in enumerate(value):
            yield from leaves(item, f"{path}/{place}")
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from leaves(getattr(value, name), f"{path}/{name}")
    else:
        yield path, repr(value)


@pytest.mark.parametrize("name", ["result.json", "result.npz"])
def test_a_saved_result_comes_back_bit_for_bit(tmp_path, name):
    saved = trained()
    loaded = Result.load(saved.save(tmp_path / name))
    assert list(leaves(loaded)) == list(leaves(saved))


@pytest.mark.parametrize("name", ["result.json", "result.npz"])
def test_numbers_of_numpy_are_saved_as_numbers(tmp_path, name):
    given = {"seed": np.int64(3), "noise": np.float64("inf"), "half": np.float32(0.5), "is": np.bool_(1)}
    loaded = Result.load(
        replace(result("numbers", record("1-2-1 sigmoid", [0.5])), description=given).save(tmp_path / name)
    )
    assert loaded.description == {"seed": 3, "noise": float("inf"), "half": 0.5, "is": True}


@pytest.mark.parametrize("name", ["result.json", "result.npz"])
def test_losses_that_are_not_finite_survive(tmp_path, name):
    saved = result("broken", record("1-2-1 sigmoid", [0.5, float("nan"), float("inf"), -float("inf")]))
    loaded = Result.load(saved.save(tmp_path / name))
    np.testing.assert_array_equal(loaded.records[0].losses, saved.records[0].losses)


def test_the_json_form_is_strict_json():
    text = result("broken", record("1-2-1 sigmoid", [0.5, float("nan"), float("inf")])).to_json()
    constants = []
    assert json.loads(text, parse_constant=constants.append)["kind"] == "Result"
    assert constants == []


def test_archives_hold_no_pickles(tmp_path):
    path = trained().save(tmp_path / "result.npz")
    with np.load(path, allow_pickle=False) as archive:
        assert not [name for name in archive.files if archive[name].dtype.hasobject]


def test_parts_are_found_by_label_or_baseline_name():
    found = trained()
    assert found["1-2-1 sigmoid"] is found.record("1-2-1 sigmoid")
    assert found["line"].loss == pytest.approx(0.438543, abs=5e-7)


def test_unknown_parts_are_named_with_the_known_ones():
    with pytest.raises(InvalidInputError, match=r"no part '1-9-1 sigmoid'.*'1-2-1 sigmoid'.*'line'"):
        trained()["1-9-1 sigmoid"]
    with pytest.raises(InvalidInputError, match="'line' is a baseline"):
        trained().record("line")


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"kind": "Sample"}', '{"kind": "Nonsense"}', '{"a": 1}'])
def test_other_json_files_are_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match="run the experiment again"):
        Result.load(path)


def test_a_missing_file_is_named():
    with pytest.raises(InvalidInputError, match=r"nowhere\.npz is not there"):
        Result.load("nowhere.npz")


def test_other_archives_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    (tmp_path / "text.npz").write_text("not an archive")
    for name in ("other.npz", "text.npz"):
        with pytest.raises(InvalidInputError, match=f"{name} is not a result"):
            Result.load(tmp_path / name)


class Hostile:
    def __reduce__(self):
        return pytest.fail, ("a pickle was run",)


@pytest.mark.parametrize("name", ["result.json", "result.npz"])
def test_pickles_are_never_run(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(InvalidInputError, match=f"{name} is not a result"):
        Result.load(path)
    if path.suffix == ".npz":
        np.savez(path, header=np.array([Hostile()], dtype=object))
        with pytest.raises(InvalidInputError, match=f"{name} is not a result"):
            Result.load(path)


@pytest.mark.parametrize("name", ["result.json", "result.npz"])
def test_a_damaged_file_is_refused_or_read_the_same_but_never_anything_else(tmp_path, name):
    saved = result("small", record("1-2-1 sigmoid", [0.5, 0.25]))
    path = saved.save(tmp_path / name)
    whole = path.read_bytes()
    places = np.random.default_rng(0).integers(0, len(whole), 60)
    damaged = [whole[: len(whole) * part // 4] for part in range(4)]
    damaged += [whole[:place] + bytes([whole[place] ^ 0x80]) + whole[place + 1 :] for place in places]
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            assert list(leaves(Result.load(path))) == list(leaves(saved))
        except InvalidInputError:
            refused += 1
    assert refused > len(damaged) / 2


@pytest.mark.parametrize(
    ("found", "altered"),
    [
        ('"dtype": "float64"', '"dtype": "object"'),
        ('"dtype": "float64"', '"dtype": "S9"'),
        ('"best": 0', '"best": "0"'),
        ('"best": 0', '"worst": 0'),
        ('"kind": "Baseline"', '"kind": "Sample"'),
        ('"sizes": [', '"sizes": ' + 5000 * "["),
    ],
)
def test_a_result_with_a_field_of_another_type_is_refused(found, altered):
    text = result("small", record("1-2-1 sigmoid", [0.25, 0.5])).to_json()
    assert found in text
    with pytest.raises(
        InvalidInputError, match=r"is not a result saved by mlpreport \(.+\); run the experiment again"
    ):
        Result.from_json(text.replace(found, altered, 1))


SMALL = result("small", record("1-2-1 sigmoid", [0.25, 0.5], optima=[optimum(0.25, [0, 1], 2)]))


@pytest.mark.parametrize(
    ("altered", "reason"),
    [
        ({"best": 2}, "best = 2: must be a whole number of at least 0 and at most 1"),
        ({"best": -1}, "best = -1"),
        ({"activation": "sigmoidal"}, "'sigmoidal'"),
        ({"sizes": ["a"]}, "sizes = "),
        ({"sizes": [1, "a", 1]}, "sizes = "),
        ({"sizes": [1, 3, 1]}, "parameters have the shapes"),
        ({"parameters": {}}, "parameters have the shapes {}"),
        ({"stop_reasons": ["converged"]}, "EnsembleRecord.stop_reasons has 1 entries; 2 belong"),
        ({"test_losses": {"array": [0.1], "dtype": "float64", "shape": [1]}}, "EnsembleRecord.test_losses"),
        ({"curve": {"array": [0.1], "dtype": "float64", "shape": [1]}}, "hidden has the shape (521, 1)"),
    ],
)
def test_a_result_whose_parts_do_not_fit_together_is_refused_by_field(altered, reason):
    stored = json.loads(SMALL.to_json())
    stored["records"][0] |= altered
    with pytest.raises(InvalidInputError, match="is not a result saved by mlpreport") as refused:
        Result.from_json(json.dumps(stored))
    assert reason in str(refused.value)


@pytest.mark.parametrize("members", [["0"], [0.5], [2], [True], []])
def test_members_that_are_no_restarts_are_refused(members):
    stored = json.loads(SMALL.to_json())
    stored["records"][0]["optima"][0]["members"] = members
    with pytest.raises(InvalidInputError, match=r"is not a result saved by mlpreport \(members = "):
        Result.from_json(json.dumps(stored))


def test_parameters_in_another_order_are_refused():
    stored = json.loads(SMALL.to_json())
    parameters = stored["records"][0]["parameters"]
    stored["records"][0]["parameters"] = dict(reversed(parameters.items()))
    with pytest.raises(InvalidInputError, match="parameters have the shapes"):
        Result.from_json(json.dumps(stored))


@pytest.mark.parametrize(
    ("field", "reason"), [("records", "records = "), ("truth", "Result.truth has 0 entr")]
)
def test_a_result_of_nothing_is_refused(field, reason):
    empty = {"records": [], "truth": {"array": [], "dtype": "float64", "shape": [0]}}
    stored = json.loads(SMALL.to_json()) | {field: empty[field]}
    with pytest.raises(InvalidInputError, match=f"is not a result saved by mlpreport .{reason}"):
        Result.from_json(json.dumps(stored))


def test_a_folder_is_no_missing_file(tmp_path):
    with pytest.raises(InvalidInputError, match=f"{tmp_path} is a folder; "):
        Result.load(tmp_path)


@pytest.mark.parametrize("name", ["result.json", "result.npz"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, name):
    with pytest.raises(EnvironmentProblemError, match=f"cannot write .*{name}.*choose"):
        trained().save(tmp_path / "missing" / name)
