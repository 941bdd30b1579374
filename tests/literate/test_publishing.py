"""Replacing a site as a whole, or not at all."""

from pathlib import Path

import pytest

from mlpreport.errors import EnvironmentProblemError
from mlpreport.literate.publishing import prepare, publish, stamp


def test_a_stage_is_empty_and_stands_beside_the_site(tmp_path: Path) -> None:
    stage = prepare(tmp_path / "docs" / "site")
    assert list(stage.iterdir()) == []
    assert stage.parent == tmp_path / "docs"


def test_a_leftover_of_an_earlier_build_is_cleared(tmp_path: Path) -> None:
    (prepare(tmp_path / "site") / "old.html").write_text("old")
    assert list(prepare(tmp_path / "site").iterdir()) == []


def test_publishing_replaces_the_whole_site(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "gone.html").write_text("old")
    stage = prepare(site)
    (stage / "new.html").write_text("new")
    publish(stage, site)
    assert [file.name for file in site.iterdir()] == ["new.html"]
    assert [folder.name for folder in tmp_path.iterdir()] == ["site"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_site_that_is_a_link_is_published_where_it_leads(tmp_path: Path, *, exists: bool) -> None:
    (tmp_path / "far").mkdir()
    (site := tmp_path / "site").symlink_to(tmp_path / "far" / "deploy")
    if exists:
        (tmp_path / "far" / "deploy").mkdir()
        (site / "gone.html").write_text("old")
    stage = prepare(site)
    (stage / "new.html").write_text("new")
    publish(stage, site)
    assert site.is_symlink()
    assert [str(file.relative_to(tmp_path)) for file in tmp_path.glob("far/**/*.html")] == [
        "far/deploy/new.html"
    ]
    assert sorted(path.name for path in (*tmp_path.iterdir(), *(tmp_path / "far").iterdir())) == [
        "deploy", "far", "site",
    ]  # fmt: skip


def test_a_first_site_is_published_too(tmp_path: Path) -> None:
    stage = prepare(tmp_path / "site")
    publish(stage, tmp_path / "site")
    assert (tmp_path / "site").is_dir()


def test_a_failed_publication_leaves_the_site(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "kept.html").write_text("kept")
    with pytest.raises(EnvironmentProblemError):
        publish(tmp_path / "missing", site)
    assert (site / "kept.html").read_text() == "kept"


@pytest.mark.parametrize("path", ["file", "file/site"])
def test_a_site_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(EnvironmentProblemError, match=rf"cannot be written to .*{path}: .*site_dir"):
        prepare(tmp_path / path)


def test_the_stamp_is_dated_by_the_environment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert stamp(tmp_path).count(",") == 0
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1712448000")
    assert stamp(tmp_path).endswith("2024-04-07")
