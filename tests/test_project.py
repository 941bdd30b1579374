"""The files around the package agree with one another."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import mlpreport

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.txt", "requirements-nox.txt", "requirements-peers.txt")
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def pins(lock: str) -> dict[str, str]:
    return dict(PIN.findall(read(lock)))


def tracked() -> list[str]:
    listed = subprocess.run(("git", "ls-files"), cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git clone")
    return listed.stdout.split()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_name_to_one_version_with_its_hashes(lock):
    requirements = re.split(r"\n(?=\S)", read(lock).replace("\\\n", " "))
    for requirement in requirements:
        assert PIN.match(requirement), requirement
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", requirement), requirement
    assert len(requirements) == len(pins(lock))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index_and_no_place(lock):
    assert not re.search(r"://|--index|--find-links|-e |\.whl|@ ", read(lock))


def test_the_locks_agree():
    assert pins("requirements-nox.txt").items() <= pins("requirements.txt").items()
    ours, peers = pins("requirements.txt"), pins("requirements-peers.txt")
    assert {name: peers[name] for name in peers.keys() & ours} == {
        name: ours[name] for name in peers.keys() & ours
    }


def test_the_lock_of_the_peers_has_every_peer():
    groups = tomllib.loads(read("pyproject.toml"))["dependency-groups"]
    assert set(groups["peers"]) <= pins("requirements-peers.txt").keys()


def test_torch_alone_is_outside_the_lock():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    names = {re.match(r"[\w-]+", dependency)[0] for dependency in project["dependencies"]}
    assert names - pins("requirements.txt").keys() == {"torch"}
    assert re.search(r'"torch==\d+\.\d+\.\d+"', read("noxfile.py"))


def test_the_lock_serves_every_python_that_the_project_promises():
    promised = tomllib.loads(read("pyproject.toml"))["project"]["requires-python"]
    assert f'requires-python = "{promised}"' in read("noxfile.py")
    assert f"--python-version={promised.removeprefix('>=')}" in read("noxfile.py")


def test_hooks_have_the_versions_of_the_lock():
    locked = pins("requirements.txt")
    hooks = {repo["repo"]: repo["rev"] for repo in yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]}
    for suffix, name in {"ruff-pre-commit": "ruff", "mirrors-mypy": "mypy", "codespell": "codespell"}.items():
        (rev,) = (rev for repo, rev in hooks.items() if repo.endswith(suffix))
        assert rev == f"v{locked[name]}"


def test_the_version_is_the_same_everywhere():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert mlpreport.__version__ == version
    assert yaml.safe_load(read("CITATION.cff"))["version"] == version


def test_the_citation_names_the_contributors_and_the_report():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["authors"] == [{"name": "The mlpreport contributors"}]
    (report,) = citation["references"]
    assert [author["family-names"] for author in report["authors"]] == ["Sharei", "Bisliouk"]
    assert report["year"] == 2024


def test_code_and_text_have_their_licences():
    assert read("LICENSE").startswith("MIT License\n")
    legal_code = read("LICENSE-CC-BY-4.0")
    assert legal_code.startswith("Attribution 4.0 International\n")
    assert all(f"Section {number} -- " in legal_code for number in range(1, 9))


def test_workflow_jobs_may_only_read_unless_they_publish():
    workflow = yaml.safe_load(read(".github/workflows/ci.yml"))
    assert workflow["permissions"] == {"contents": "read"}
    granted = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert granted == {"publish": {"pages": "write", "id-token": "write"}}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_workflow_actions_are_pinned_to_a_commit():
    used = re.findall(r"uses: *(.*)", read(".github/workflows/ci.yml"))
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in used)


def test_commands_in_the_documents_are_sessions():
    tree = ast.parse(read("noxfile.py"))
    sessions = {part.name for part in tree.body if isinstance(part, ast.FunctionDef) and part.decorator_list}
    for name in ("README.md", "CONTRIBUTING.md", ".ci/run", ".github/workflows/ci.yml"):
        commands = re.findall(r"(?:noxfile\.py|nox) -s ([a-z]+(?: [a-z]+)*)", read(name))
        assert commands, name
        assert {word for command in commands for word in command.split()} <= sessions, name


def test_ci_runs_the_commands_of_the_readme():
    for command in re.findall(r"^    (python3 noxfile\.py -s \w+)$", read("README.md"), re.MULTILINE)[:2]:
        assert command in read(".ci/run")


def test_files_that_the_documents_link_to_exist():
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"(?<!!)\[[^]]*\]\(([^)#]+)\)", read(name)):
            if "://" not in target:
                assert (ROOT / target).exists(), f"{name} links to {target}"


def test_the_top_level_holds_nothing_else():
    folders = {name.partition("/")[0] for name in tracked() if "/" in name}
    assert folders <= {".ci", ".github", "docs", "mlpreport", "tests"}
