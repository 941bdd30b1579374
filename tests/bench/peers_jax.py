"""JAX: optimistix, jaxopt and jax.scipy under vmap, and a Levenberg-Marquardt of the same kind as ours under vmap.

A batch ends with its slowest member, so the batch and the limit on steps are part of what is tuned. Compiling is not
in the time: `prepared` compiles for the shape of a batch.
"""

import os

# One thread, as all others.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import itertools

import jax
import jax.numpy as jnp
import jaxopt
import lineax
import numpy as np
import optimistix
from jax.scipy.linalg import cho_factor, cho_solve
from jax.scipy.optimize import minimize
from networks import Task, X, Y

jax.config.update("jax_enable_x64", True)
INPUT, TARGET, SCALE = jnp.asarray(X), jnp.asarray(Y), 1 / len(Y) ** 0.5


def output(flat, sizes, x):
    """The network's outputs at x (…, 1)."""
    start, values = 0, x
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes), start=1):
        middle, end = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
        z = values @ flat[start:middle].reshape(fan_in, fan_out) + flat[middle:end]
        values, start = jax.nn.sigmoid(z) if layer < len(sizes) - 1 else z, end
    return values[..., 0]


def functions(sizes):
    """The residuals over √n, their Jacobian by one backward pass per point, and the mean squared error."""

    def residuals(flat):
        return SCALE * (output(flat, sizes, INPUT) - TARGET)

    def jacobian(flat):
        return SCALE * jax.vmap(lambda point: jax.grad(output)(flat, sizes, point))(INPUT)

    return residuals, jacobian, lambda flat: jnp.sum(residuals(flat) ** 2)


def prepared(train_one, task: Task, batch: int):
    """Compile the vmapped function for batches of that size; rows are padded with the last one."""
    shape = jax.ShapeDtypeStruct((batch, task.architecture.parameter_count), jnp.float64)
    compiled = jax.jit(jax.vmap(train_one)).lower(shape).compile()

    def train(rows):
        ends = []
        for i in range(0, len(rows), batch):
            part = rows[i : i + batch]
            padded = np.concatenate([part, np.repeat(part[-1:], batch - len(part), 0)])
            ends.append(np.asarray(compiled(jnp.asarray(padded)))[: len(part)])
        return np.concatenate(ends)

    return train


def optimistix_lm(task: Task, *, batch: int, steps: int, rtol: float, solver: str):
    residuals, _, _ = functions(task.sizes)
    linear = {"qr": lineax.AutoLinearSolver(well_posed=None), "normal": lineax.Normal(lineax.Cholesky())}[
        solver
    ]
    method = optimistix.LevenbergMarquardt(rtol=rtol, atol=rtol, linear_solver=linear)
    return prepared(
        lambda row: (
            optimistix.least_squares(
                lambda flat, _: residuals(flat), method, row, max_steps=steps, throw=False
            ).value
        ),
        task,
        batch,
    )


def optimistix_bfgs(task: Task, *, batch: int, steps: int, rtol: float):
    _, _, loss = functions(task.sizes)
    method = optimistix.BFGS(rtol=rtol, atol=rtol)
    return prepared(
        lambda row: (
            optimistix.minimise(lambda flat, _: loss(flat), method, row, max_steps=steps, throw=False).value
        ),
        task,
        batch,
    )


def jaxopt_lm(task: Task, *, batch: int, steps: int, damping: float, xtol: float):
    residuals, _, _ = functions(task.sizes)
    method = jaxopt.LevenbergMarquardt(
        residuals,
        maxiter=steps,
        damping_parameter=damping,
        stop_criterion="madsen-nielsen",
        gtol=0.5e-6,
        xtol=xtol,
        solver="cholesky",
        materialize_jac=True,
        implicit_diff=False,
        unroll=False,
    )
    return prepared(lambda row: method.run(row).params, task, batch)


def jaxopt_bfgs(task: Task, *, batch: int, steps: int, linesearch: str):
    _, _, loss = functions(task.sizes)
    method = jaxopt.BFGS(
        loss, maxiter=steps, tol=1e-6, linesearch=linesearch, implicit_diff=False, unroll=False
    )
    return prepared(lambda row: method.run(row).params, task, batch)


def jax_bfgs(task: Task, *, batch: int, steps: int):
    _, _, loss = functions(task.sizes)
    return prepared(
        lambda row: minimize(loss, row, method="BFGS", options={"gtol": 1e-6, "maxiter": steps}).x,
        task,
        batch,
    )


def jax_lm(task: Task, *, batch: int, steps: int, damping: float, decrement: float):
    """Identity damping by the gain ratio, Cholesky, and our stopping rule, in a while_loop under vmap."""
    residuals, jacobian, _ = functions(task.sizes)

    def linearised(flat):
        residual, jac = residuals(flat), jacobian(flat)
        return residual @ residual, jac.T @ jac, jac.T @ residual

    def improve(state):
        flat, (value, normal, slope), mu, growth, count, _ = state
        step = -cho_solve(cho_factor(normal + mu * jnp.eye(flat.size)), slope)
        predicted = step @ (mu * step - slope)
        new = linearised(flat + step)
        gain = (value - new[0]) / predicted
        better = gain > 0
        done = jnp.where(
            better,
            (gain > 0.25) & ((step @ slope) ** 2 <= decrement * value * (step @ normal @ step)),
            (predicted <= 2e-16 * value) | (mu > 1e20),
        )
        now = jax.tree.map(lambda a, b: jnp.where(better, a, b), new, (value, normal, slope))
        mu *= jnp.where(better, jnp.maximum(1 / 3, 1 - (2 * gain - 1) ** 3), growth)
        done |= (2 * jnp.abs(now[2]).max() <= 1e-6) | ~jnp.isfinite(now[0])
        return (
            jnp.where(better, flat + step, flat),
            now,
            mu,
            jnp.where(better, 2.0, 2 * growth),
            count + 1,
            done,
        )

    def train_one(row):
        first = linearised(row)
        state = (row, first, damping * jnp.diagonal(first[1]).max(), 2.0, 0, False)
        return jax.lax.while_loop(lambda s: ~s[-1] & (s[-2] < steps), improve, state)[0]

    return prepared(train_one, task, batch)
