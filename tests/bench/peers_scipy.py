"""SciPy's L-BFGS-B and MINPACK's Levenberg-Marquardt, and scikit-learn's MLPRegressor: one restart at a time."""

import warnings

import numpy as np
from networks import Task, X, Y, jacobian, layers, residuals, value_and_gradient
from scipy.optimize import leastsq, minimize
from sklearn.neural_network import MLPRegressor


def l_bfgs_b(task: Task, *, memory: int, ftol: float, maxiter: int):
    """SciPy's L-BFGS-B on a NumPy gradient."""
    function = value_and_gradient(task.sizes)
    options = {"gtol": 1e-6, "ftol": ftol, "maxcor": memory, "maxiter": maxiter, "maxfun": 100 * maxiter}

    def train(rows):
        return np.array(
            [minimize(function, row, jac=True, method="L-BFGS-B", options=options).x for row in rows]
        )

    return train


def minpack(task: Task, *, ftol: float, factor: float, scaled: bool, evaluations: int):
    """MINPACK's lmder with a NumPy Jacobian; `scaled` is its own scaling by column norms, else none."""
    function, derivative = residuals(task.sizes), jacobian(task.sizes)
    settings = {"ftol": ftol, "xtol": ftol, "gtol": 0.0, "factor": factor, "maxfev": evaluations}
    if not scaled:
        settings["diag"] = np.ones(task.architecture.parameter_count)

    def train(rows):
        return np.array(
            [leastsq(function, row, Dfun=derivative, col_deriv=True, **settings)[0] for row in rows]
        )

    return train


def scikit_learn(task: Task, *, maxiter: int):
    """scikit-learn's MLPRegressor with its own L-BFGS, started from our parameters."""
    regressor = MLPRegressor(
        hidden_layer_sizes=task.hidden,
        activation="logistic",
        solver="lbfgs",
        alpha=0.0,
        tol=1e-6,
        max_iter=1,
        max_fun=100 * maxiter,
        warm_start=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        regressor.fit(X, Y)  # makes the attributes that the starts then replace
    regressor.max_iter = maxiter

    def train(rows):
        ends = []
        for row in rows:
            parts = layers(row, task.sizes)
            regressor.coefs_, regressor.intercepts_ = (
                list(map(np.copy, part)) for part in zip(*parts, strict=True)
            )
            regressor.fit(X, Y)
            ends.append(
                np.concatenate(
                    [
                        part.ravel()
                        for pair in zip(regressor.coefs_, regressor.intercepts_, strict=True)
                        for part in pair
                    ]
                )
            )
        return np.array(ends)

    return train
