import json

import numpy as np
import pytest
from examples import record, result, trained

from mlpreport.errors import InvalidInputError
from mlpreport.results import Result


def leaves(value, path=""):
    """Every number and text of a result with the path to it, so that two results can be compared."""
    if isinstance(value, np.ndarray):
        yield path, value.dtype.name, value.shape, value.tobytes()
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}/{key}")
    elif isinstance(value, tuple | list):
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
