"""Time to derive, and the compiled gradient against torch.autograd in one run; `nox -s bench` prints the ratios."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from mlpreport.derivation import trace, value_and_grad

pytestmark = pytest.mark.bench

REPORT = """
import time
from mlpreport.derivation import trace
start = time.perf_counter()
program = trace('''z1 = x @ W1
z2 = z1 + b1
z3 = sigmoid(z2)
z4 = z3 @ W2
yhat = z4 + b2
l = mean((y - yhat)**2)''', x=("N", "D"), W1=("D", "H"), b1=(1, "H"), W2=("H", 1), b2=(1, 1), y=("N", 1))
assert len(program.vjp().steps) == 12
print(time.perf_counter() - start)
"""

WANTED = {2: 3.0, 10: 3.0, 50: 1.0, 500: 0.0}


@pytest.fixture
def report(capsys) -> Callable[[str], None]:
    """Give the test a function that writes past pytest's capture."""

    def write(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}\n")

    return write


def deep_network(layers: int) -> tuple[str, dict[str, tuple[str | int, str | int]]]:
    """Source and shapes of a sigmoid network with that many hidden layers."""
    lines, shapes = [], {"x": ("N", "D"), "y": ("N", 1)}
    for n in range(1, layers + 1):
        lines += [f"z{n} = {'x' if n == 1 else f'h{n - 1}'} @ W{n} + b{n}", f"h{n} = sigmoid(z{n})"]
        shapes |= {f"W{n}": ("D" if n == 1 else "H", "H"), f"b{n}": (1, "H")}
    lines += [f"yhat = h{layers} @ V + c", "l = mean((y - yhat)**2)"]
    return "\n".join(lines), shapes | {"V": ("H", 1), "c": (1, 1)}


def median_time(run: Callable[[], object], repeats: int) -> float:
    """Median of the seconds that a call takes."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def test_the_reports_network_is_derived_in_a_second_from_a_cold_import(report):
    seconds = min(float(subprocess.check_output((sys.executable, "-c", REPORT))) for _ in range(3))
    report(f"the report's twelve steps, first derivation of a process: {seconds:.2f} s")
    assert seconds <= 1


def test_deriving_takes_time_linear_in_depth(report):
    times = {}
    for layers in (3, 6, 12):
        source, shapes = deep_network(layers)
        times[layers] = median_time(lambda s=source, n=shapes: trace(s, **n).vjp(), 3)
    report("hidden layers: seconds to derive: " + ", ".join(f"{n}: {t:.2f}" for n, t in times.items()))
    assert times[12] <= 3
    assert times[12] / times[6] <= 3


@pytest.mark.parametrize("width", WANTED)
def test_the_compiled_gradient_is_faster_than_autograd(width, report):
    source, shapes = deep_network(1)
    f = value_and_grad(trace(source, **shapes).vjp())
    rng = np.random.default_rng(0)
    sizes = {"N": 100, "D": 1, "H": width, 1: 1}
    arrays = {name: rng.normal(size=[sizes[s] for s in shape]) for name, shape in shapes.items()}
    tensors = {name: torch.tensor(a, requires_grad=True) for name, a in arrays.items()}

    def autograd():
        t = tensors
        loss = ((t["y"] - (torch.sigmoid(t["x"] @ t["W1"] + t["b1"]) @ t["V"] + t["c"])) ** 2).mean()
        for tensor in t.values():
            tensor.grad = None
        loss.backward()
        return loss.item()

    value, grads = f(**arrays)
    assert value == pytest.approx(autograd(), rel=1e-13)
    assert all(np.allclose(grads[name], tensor.grad.numpy(), rtol=1e-12) for name, tensor in tensors.items())
    ours, theirs = median_time(lambda: f(**arrays), 2000), median_time(autograd, 2000)
    report(
        f"H = {width}: {ours * 1e6:.0f} µs, autograd {theirs * 1e6:.0f} µs: {theirs / ours:.1f} times as fast"
    )
    assert theirs / ours >= WANTED[width]
