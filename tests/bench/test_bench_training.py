"""Training against the report's way and against tuned peers, in one process; `nox -s bench` prints the table."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlpreport
from mlpreport.benchmark import SHIPPED, read_benchmark

pytestmark = pytest.mark.bench

REPORT = {"[2]": 500, "[3]": 1500, "[10]": 350, "[3,5,4]": 170, "[50]": 38}
PEERS = {"[2]": 6, "[3]": 12, "[10]": 8, "[3,5,4]": 6}


@pytest.fixture(scope="module")
def measured(request, tmp_path_factory):
    """Everything, measured in a process in which no shapes are checked: that would slow some and not others."""
    config = request.config
    path = SHIPPED if config.getoption("--write") else tmp_path_factory.mktemp("bench") / "benchmark.json"
    script = Path(__file__).with_name("measure.py")
    command = (sys.executable, script, path, f"--seconds={config.getoption('--seconds')}")
    environment = os.environ | {"PYTHONPATH": str(Path(mlpreport.__file__).parents[1])}
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        subprocess.run(command, env=environment, check=True)
    return read_benchmark(path)


@pytest.mark.parametrize("architecture", REPORT)
def test_ours_reaches_the_loss_many_times_as_soon_as_the_reports_way(measured, architecture):
    assert measured.contest(architecture).ratio("report") >= REPORT[architecture]


@pytest.mark.parametrize("architecture", PEERS)
def test_ours_reaches_the_loss_many_times_as_soon_as_the_best_peer(measured, architecture):
    contest = measured.contest(architecture)
    assert contest.ratio("peer") >= PEERS[architecture], contest.best("peer")


def test_ten_thousand_restarts_take_five_seconds(measured):
    assert measured.ten_thousand <= 5


def test_compiling_takes_ten_seconds_once_and_half_a_second_later(measured):
    assert measured.compile_cold <= 10
    assert measured.compile_warm <= 0.5


def test_restarts_per_second_and_memory_are_flat_from_a_hundred_restarts(measured):
    rates = [row.per_second for row in measured.scaling]
    peaks = [row.peak_megabytes for row in measured.scaling]
    assert max(rates) <= 1.5 * min(rates)
    assert max(peaks) <= 1.5 * min(peaks)
