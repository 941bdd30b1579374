"""The compiled network: residuals, loss, gradient and Jacobian of any Architecture.

Arrays keep the points on their last axis, so every inner loop runs over contiguous points. A problem is the tuple

    sizes        layer sizes, input and output included
    activation   compiled, (z, slope): overwrites z with the activation's value and fills slope
    x, y         inputs and targets, (size, point)
    penalty      factor of the squared parameter norm in the objective
    work         (3, units, point): values, slopes and cotangents of all units behind the input

The objective is the mean squared error plus the penalty: the sum of the squares of all residuals.
"""

import math

from mlpreport.training.kernels_linear import Counts, Kernel, Matrix, Vector, copy, dot, fill, inner, total

Problem = tuple[Counts, Kernel, Matrix, Matrix, float, Matrix]


@inner
def affine(values: Matrix, parameters: Vector, start: int, result: Matrix) -> None:
    """Set result = weightsᵀ values + biases for the layer whose parameters begin at start."""
    units, sources = result.shape[0], values.shape[0]
    for unit in range(units):
        row = result[unit]
        bias = parameters[start + sources * units + unit]
        fill(row, bias)
        for source in range(sources):
            weight, before = parameters[start + source * units + unit], values[source]
            for n in range(row.size):
                row[n] += weight * before[n]


@inner
def forward(parameters: Vector, problem: Problem) -> None:
    """Fill work[0] with the values of all units, the output's last, and work[1] with the slopes of the hidden ones."""
    sizes, activation, x, _, _, work = problem
    values, start, unit = x, 0, 0
    for layer in range(1, sizes.size):
        fan_in, fan_out = sizes[layer - 1], sizes[layer]
        target = work[0, unit : unit + fan_out]
        affine(values, parameters, start, target)
        if layer < sizes.size - 1:
            activation(target, work[1, unit : unit + fan_out])
        start += (fan_in + 1) * fan_out
        unit += fan_out
        values = target


@inner
def pull_back(cotangents: Matrix, parameters: Vector, start: int, slopes: Matrix, result: Matrix) -> None:
    """Carry the cotangents of the layer whose parameters begin at start to the units before it."""
    units = cotangents.shape[0]
    for source in range(result.shape[0]):
        row, slope = result[source], slopes[source]
        fill(row, 0.0)
        for unit in range(units):
            weight, behind = parameters[start + source * units + unit], cotangents[unit]
            for n in range(row.size):
                row[n] += weight * behind[n]
        for n in range(row.size):
            row[n] *= slope[n]


def value_and_gradient(parameters: Vector, problem: Problem, gradient: Vector) -> float:
    """Return the objective and write its gradient."""
    sizes, _, x, y, penalty, work = problem
    forward(parameters, problem)
    output, cotangents = work[0, work.shape[1] - y.shape[0] :], work[2, work.shape[1] - y.shape[0] :]
    value = 0.0
    for k in range(y.shape[0]):
        for n in range(y.shape[1]):
            cotangents[k, n] = output[k, n] - y[k, n]
        value += dot(cotangents[k], cotangents[k])
        for n in range(y.shape[1]):
            cotangents[k, n] *= 2.0 / y.size
    end, unit = parameters.size, work.shape[1]
    for layer in range(sizes.size - 1, 0, -1):
        fan_in, fan_out = sizes[layer - 1], sizes[layer]
        start, unit = end - (fan_in + 1) * fan_out, unit - fan_out
        values = x if layer == 1 else work[0, unit - fan_in : unit]
        cotangents = work[2, unit : unit + fan_out]
        for k in range(fan_out):
            for i in range(fan_in):
                gradient[start + i * fan_out + k] = dot(values[i], cotangents[k])
            gradient[start + fan_in * fan_out + k] = total(cotangents[k])
        if layer > 1:
            before = slice(unit - fan_in, unit)
            pull_back(cotangents, parameters, start, work[1, before], work[2, before])
        end = start
    for i in range(parameters.size):
        gradient[i] += 2.0 * penalty * parameters[i]
    return value / y.size + penalty * dot(parameters, parameters)


def residuals_and_jacobian(parameters: Vector, problem: Problem, residuals: Vector, jacobian: Matrix) -> None:
    """Write the residuals, whose squares sum to the objective, and their Jacobian, (parameter, residual)."""
    _, _, _, y, penalty, work = problem
    forward(parameters, problem)
    output = work[0, work.shape[1] - y.shape[0] :]
    scale, points = 1.0 / math.sqrt(y.size), y.shape[1]
    for k in range(y.shape[0]):
        for n in range(points):
            residuals[k * points + n] = scale * (output[k, n] - y[k, n])
        output_jacobian(parameters, problem, k, scale, jacobian[:, k * points : (k + 1) * points])
    if residuals.size > y.size:
        for i in range(parameters.size):
            fill(jacobian[i, y.size :], 0.0)
            residuals[y.size + i] = math.sqrt(penalty) * parameters[i]
            jacobian[i, y.size + i] = math.sqrt(penalty)


@inner
def output_jacobian(
    parameters: Vector, problem: Problem, output: int, scale: float, jacobian: Matrix
) -> None:
    """Write the derivatives of one output, times scale, with respect to all parameters, (parameter, point)."""
    sizes, _, x, y, _, work = problem
    end, unit = parameters.size, work.shape[1]
    for k in range(y.shape[0]):
        fill(work[2, unit - y.shape[0] + k], scale if k == output else 0.0)
    for layer in range(sizes.size - 1, 0, -1):
        fan_in, fan_out = sizes[layer - 1], sizes[layer]
        start, unit = end - (fan_in + 1) * fan_out, unit - fan_out
        values = x if layer == 1 else work[0, unit - fan_in : unit]
        cotangents = work[2, unit : unit + fan_out]
        for k in range(fan_out):
            for i in range(fan_in):
                row, value, cotangent = jacobian[start + i * fan_out + k], values[i], cotangents[k]
                for n in range(row.size):
                    row[n] = value[n] * cotangent[n]
            copy(cotangents[k], jacobian[start + fan_in * fan_out + k])
        if layer > 1:
            before = slice(unit - fan_in, unit)
            pull_back(cotangents, parameters, start, work[1, before], work[2, before])
        end = start
