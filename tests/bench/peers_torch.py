"""torch: its LBFGS with strong-Wolfe search, one restart at a time, and a batched Levenberg-Marquardt."""

import itertools

import numpy as np
import torch
from networks import Task, X, Y

torch.set_num_threads(1)
INPUT, TARGET = torch.from_numpy(np.array(X)), torch.from_numpy(np.array(Y))


def split(rows: torch.Tensor, sizes: tuple[int, ...]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weights (…, in, out) and biases (…, 1, out) of each layer."""
    parts, start = [], 0
    for fan_in, fan_out in itertools.pairwise(sizes):
        middle, end = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
        weights = rows[..., start:middle].reshape(*rows.shape[:-1], fan_in, fan_out)
        parts.append((weights, rows[..., None, middle:end]))
        start = end
    return parts


def forward(parts: list[tuple[torch.Tensor, torch.Tensor]]) -> list[torch.Tensor]:
    values = [INPUT]
    for layer, (weights, biases) in enumerate(parts, start=1):
        z = values[-1] @ weights + biases
        values.append(torch.sigmoid(z) if layer < len(parts) else z)
    return values


def lbfgs(task: Task, *, history: int, change: float, maxiter: int):
    """torch.optim.LBFGS with autograd."""

    def train(rows):
        return np.array([_lbfgs(row, task.sizes, history, change, maxiter) for row in rows])

    return train


def _lbfgs(row, sizes, history, change, maxiter):
    parameters = torch.tensor(row, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [parameters],
        max_iter=maxiter,
        max_eval=10 * maxiter,
        history_size=history,
        tolerance_grad=1e-6,
        tolerance_change=change,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimiser.zero_grad()
        loss = (forward(split(parameters, sizes))[-1][:, 0] - TARGET).square().mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    return parameters.detach().numpy()


def levenberg_marquardt(task: Task, *, damping: float, decrement: float, maxiter: int, batch: int):
    """All restarts of a batch in lock step; those that have ended leave it. Damping by the gain ratio, as ours."""

    def train(rows):
        with torch.no_grad():
            parts = [
                _levenberg_marquardt(
                    torch.from_numpy(rows[i : i + batch]), task.sizes, damping, decrement, maxiter
                )
                for i in range(0, len(rows), batch)
            ]
        return torch.cat(parts).numpy()

    return train


def residuals_and_jacobian(rows: torch.Tensor, sizes: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Residuals (row, point) and their Jacobian (row, point, parameter), over √n."""
    parts = split(rows, sizes)
    values, pieces, scale = forward(parts), [], 1 / len(TARGET) ** 0.5
    cotangent = torch.full((len(rows), len(TARGET), 1), scale, dtype=rows.dtype)
    for layer in range(len(parts), 0, -1):
        before = values[layer - 1].expand(len(rows), len(TARGET), -1)
        pieces += [cotangent, (before[..., None] * cotangent[:, :, None]).flatten(2)]
        if layer > 1:
            cotangent = (cotangent @ parts[layer - 1][0].mT) * before * (1 - before)
    return scale * (values[-1][..., 0] - TARGET), torch.cat(pieces[::-1], 2)


def _levenberg_marquardt(rows, sizes, damping, decrement, maxiter):
    end, active, rows = rows.clone(), torch.arange(len(rows)), rows.clone()
    residual, jac = residuals_and_jacobian(rows, sizes)
    value, normal, slope = _linearised(residual, jac)
    mu, growth = damping * normal.diagonal(dim1=1, dim2=2).amax(1), torch.full_like(value, 2.0)
    unit = torch.eye(rows.shape[1], dtype=rows.dtype)
    for _ in range(maxiter):
        factor, failed = torch.linalg.cholesky_ex(normal + mu[:, None, None] * unit)
        step = -torch.cholesky_solve(slope[..., None], factor)[..., 0]
        predicted = (step * (mu[:, None] * step - slope)).sum(1)
        residual, jac = residuals_and_jacobian(rows + step, sizes)
        new = _linearised(residual, jac)
        gain = (value - new[0]) / predicted
        better = (gain > 0) & (failed == 0)
        possible = (step * slope).sum(1) ** 2 / torch.einsum("ri,rij,rj->r", step, normal, step)
        done = better & (gain > 0.25) & (possible <= decrement * value)
        done |= ~better & ((predicted <= 2e-16 * value) | (mu > 1e20))
        rows = torch.where(better[:, None], rows + step, rows)
        value, slope = torch.where(better, new[0], value), torch.where(better[:, None], new[2], slope)
        normal = torch.where(better[:, None, None], new[1], normal)
        mu = mu * torch.where(better, (1 - (2 * gain - 1) ** 3).clamp(min=1 / 3), growth)
        growth = torch.where(better, 2.0, 2 * growth)
        done |= (2 * slope.abs().amax(1) <= 1e-6) | ~torch.isfinite(value)
        if done.any():
            end[active[done]], keep = rows[done], ~done
            active, rows, value, mu, growth = active[keep], rows[keep], value[keep], mu[keep], growth[keep]
            normal, slope = normal[keep], slope[keep]
        if not len(active):
            break
    end[active] = rows
    return end


def _linearised(residual, jac):
    return residual.square().sum(1), jac.mT @ jac, (jac.mT @ residual[..., None])[..., 0]
