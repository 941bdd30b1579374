"""The atlas is what its certificates and its restarts say, and is refused when it is not."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from mlpreport.cli import main
from mlpreport.data import noisy_sine
from mlpreport.errors import CertificateError, InvalidInputError
from mlpreport.training.atlas import WIDTHS, data_hash, load_atlas, make_atlas, save_atlas, verify_atlas


@pytest.mark.parametrize("width", [1, 2, pytest.param(3, marks=pytest.mark.thorough)])
def test_the_shipped_atlas_is_verified_and_its_restarts_land_where_it_says(width):
    atlas = load_atlas(width)
    assert atlas.restarts == WIDTHS[width]
    assert not atlas.best_seen
    assert sum(entry.count for entry in atlas.entries) + atlas.rare == atlas.restarts
    verify_atlas(atlas, sample=20, seed=7)


@pytest.mark.parametrize("width", [10, 50, pytest.param(100, marks=pytest.mark.thorough)])
def test_wide_networks_have_a_best_seen_that_is_no_minimum(width):
    atlas = load_atlas(width)
    assert atlas.best_seen
    (entry,) = atlas.entries
    assert entry.certificate.verdict in {"unproved", "saddle"}
    verify_atlas(atlas, sample=5, seed=0)


def test_an_atlas_comes_back_the_same_from_its_file(tmp_path):
    atlas = make_atlas(1, restarts=30, seed=3)
    save_atlas(atlas, tmp_path)
    again = load_atlas(1, tmp_path)
    assert (again.labels, again.seed, again.provenance) == (atlas.labels, atlas.seed, atlas.provenance)
    for one, other in zip(atlas.entries, again.entries, strict=True):
        assert one.certificate.because == other.certificate.because
        for name, values in one.certificate.parameters.items():
            np.testing.assert_array_equal(values, other.certificate.parameters[name])
    verify_atlas(again, sample=30, seed=0)


def test_an_atlas_of_rare_classes_only_is_verified(tmp_path):
    atlas = make_atlas(1, restarts=1, seed=7)
    assert (atlas.entries, atlas.labels, atlas.rare) == ((), (-1,), 1)
    save_atlas(atlas, tmp_path)
    verify_atlas(load_atlas(1, tmp_path), sample=5, seed=0)


def test_an_altered_number_is_refused_by_entry_name_and_remedy(tmp_path):
    save_atlas(load_atlas(1), tmp_path)
    path = tmp_path / "1.json"
    stored = json.loads(path.read_text())
    stored["entries"][1]["certificate"]["loss"] += 1e-7
    path.write_text(json.dumps(stored))
    with pytest.raises(
        CertificateError, match=r"entry 1 .*loss is stored as .* computed again .*mlpreport atlas"
    ):
        verify_atlas(load_atlas(1, tmp_path), sample=0, seed=0)


def test_altered_shares_labels_and_data_are_refused():
    atlas = load_atlas(1)
    first = replace(atlas.entries[0], share=0.5)
    with pytest.raises(CertificateError, match=r"entry 0 .*share"):
        verify_atlas(replace(atlas, entries=(first, *atlas.entries[1:])), sample=0, seed=0)
    with pytest.raises(CertificateError, match="hash of the data"):
        verify_atlas(atlas, sample=0, seed=0, data=noisy_sine(seed=5))
    swapped = replace(
        atlas,
        labels=tuple({0: 1, 1: 0}.get(label, label) for label in atlas.labels),
        entries=tuple(
            replace(old, count=new.count, share=new.share, interval=new.interval)
            for old, new in zip(atlas.entries, atlas.entries[::-1], strict=True)
        ),
    )
    with pytest.raises(CertificateError, match=r"restart .* trained again"):
        verify_atlas(swapped, sample=10, seed=0)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("best_seen", {"best_seen": True}),
        ("method", {"method": "bfgs"}),
        ("options", {"provenance": {**load_atlas(1).provenance, "options": {"max_iterations": 999}}}),
        ("hash of the data", {"provenance": {}}),
        ("labels", {"labels": ()}),
        ("labels", {"labels": (-5, *load_atlas(1).labels[1:])}),
        ("labels", {"entries": ()}),
        ("labels", {"entries": load_atlas(1).entries[:1]}),
        ("order of losses", {"entries": load_atlas(1).entries[::-1]}),
    ],
)
def test_an_atlas_that_says_other_things_of_itself_is_refused_by_name(name, change):
    with pytest.raises(CertificateError, match=f"the atlas of 1-1-1 sigmoid: .*{name} .*computed again"):
        verify_atlas(replace(load_atlas(1), **change), sample=0, seed=0)


@pytest.mark.parametrize("wrong", [{"sample": -1}, {"sample": 1.5}, {"seed": -1}, {"seed": None}])
def test_a_sample_or_seed_that_is_no_whole_number_is_refused(wrong):
    with pytest.raises(InvalidInputError, match=f"{next(iter(wrong))} = "):
        verify_atlas(load_atlas(1), **{"sample": 1, "seed": 0, **wrong})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("entries", 0, "certificate", "loss"), "0.3"),
        (("entries", 0, "certificate", "radius"), [1e-3]),
        (("entries", 0, "certificate", "spectrum"), [[1.0]]),
        (("entries", 0, "certificate", "parameters", "W1"), [[10**400]]),
        (("entries", 0, "count"), None),
        (("entries", 0, "interval"), [0.1, "x"]),
        (("entries",), 7),
        (("labels",), "0 1 x"),
        (("architecture", "activation"), "sigmoyd"),
    ],
)
def test_an_atlas_with_a_value_of_another_type_is_not_read(tmp_path, place, value):
    stored = json.loads(save_atlas(load_atlas(1), tmp_path).read_text())
    *path, last = place
    inside = stored
    for step in path:
        inside = inside[step]
    inside[last] = value
    (tmp_path / "1.json").write_text(json.dumps(stored))
    with pytest.raises(CertificateError, match=r"1\.json cannot be read \(.+\); make it again"):
        load_atlas(1, tmp_path)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("architecture.sizes = (1, 1)", {"architecture": {"sizes": [1, 1], "activation": "sigmoid"}}),
        ("architecture.sizes = (1, 2, 1)", {"architecture": {"sizes": [1, 2, 1], "activation": "sigmoid"}}),
        ("seed = -1", {"seed": -1}),
        ("labels name [-5, 0, 1]", {"labels": "0 1 -5"}),
        ("labels name [0, 7]", {"labels": "0 7"}),
        ("labels name [0, 1]", {"labels": "0 1", "entries": []}),
        ("labels name []", {"labels": "", "entries": []}),
    ],
)
def test_an_atlas_that_cannot_be_verified_is_not_read(tmp_path, field, change):
    path = save_atlas(load_atlas(1), tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(
        CertificateError, match=rf"1\.json cannot be read \({re.escape(field)}.+; make it again"
    ):
        load_atlas(1, tmp_path)


@pytest.mark.parametrize("radius", [0.0, -1e-3, np.inf])
def test_a_radius_that_is_none_is_not_read(tmp_path, radius):
    path = save_atlas(load_atlas(2), tmp_path)
    stored = json.loads(path.read_text())
    certificate = stored["entries"][0]["certificate"]
    for name, holder in (("limit.radius", certificate["limit"]), ("certificate.radius", certificate)):
        holder["radius"] = radius
        path.write_text(json.dumps(stored))
        with pytest.raises(CertificateError, match=f"2.json cannot be read .{name} = {radius}: must be"):
            load_atlas(2, tmp_path)


def test_a_broken_file_and_an_unknown_width_are_refused(tmp_path):
    (tmp_path / "2.json").write_text("{}")
    with pytest.raises(CertificateError, match=r"2\.json cannot be read"):
        load_atlas(2, tmp_path)
    with pytest.raises(InvalidInputError, match="width = 4: there are atlases for 1, 2, 3"):
        load_atlas(4)
    with pytest.raises(InvalidInputError, match=r"width = \[1\]: must be a whole number"):
        load_atlas([1])


def test_the_hash_of_the_data_depends_on_every_value():
    assert data_hash(noisy_sine()) == data_hash(noisy_sine())
    assert data_hash(noisy_sine()) != data_hash(noisy_sine(test_size=124))


def test_the_command_line_verifies_the_atlas(capsys):
    assert main(["atlas", "--width", "1", "--verify"]) == 0
    assert "as its certificates say" in capsys.readouterr().out
