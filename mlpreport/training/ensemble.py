"""All restarts of one architecture, stacked, and the single Restart taken from them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from mlpreport.checks import checked_whole
from mlpreport.errors import InvalidInputError, MlpReportError
from mlpreport.training.architecture import Architecture
from mlpreport.training.initialisation import flat_parameters
from mlpreport.training.problem import checked_points, outputs, unit_values


@dataclass(frozen=True, eq=False)
class Restart:
    """One seeded initialisation, trained once: its parameters, W1 (in, out), b1 (out,), …, and how it ended."""

    architecture: Architecture
    index: int
    parameters: dict[str, Float64[np.ndarray, "..."]]
    loss: float
    test_loss: float
    gradient_norm: float
    iterations: int
    stop_reason: str

    def predict(self, x: Float64[np.ndarray, "n inputs"]) -> Float64[np.ndarray, "n outputs"]:
        """Compute the outputs of the network at points x."""
        return self._layers(x)[-1]

    def hidden(self, x: Float64[np.ndarray, "n inputs"]) -> tuple[Float64[np.ndarray, "n units"], ...]:
        """Activations of every hidden layer at points x, the first layer first."""
        return self._layers(x)[:-1]

    def _layers(self, x: Any) -> tuple[Float64[np.ndarray, "n units"], ...]:
        flat = flat_parameters(self.architecture, self.parameters)
        return unit_values(self.architecture, flat, checked_points("x", x, self.architecture.sizes[0]))


@dataclass(frozen=True, eq=False)
class Ensemble:
    """All restarts of one architecture; every array has the restart as its first axis.

    Parameters
    ----------
    parameters
        W1 (restart, in, out), b1 (restart, out), W2, …
    losses, test_losses
        Mean squared errors on the training and the test points, without the penalty of a weight decay.
    gradient_norms
        Largest absolute entry of the gradient of the objective (loss plus penalty).
    iterations
        How many iterations a restart took.
    stop_reasons
        Which of `STOP_REASONS` ended it.
    """

    architecture: Architecture
    method: str
    seed: int
    parameters: dict[str, Float64[np.ndarray, "restart ..."]]
    losses: Float64[np.ndarray, " restart"]
    test_losses: Float64[np.ndarray, " restart"]
    gradient_norms: Float64[np.ndarray, " restart"]
    iterations: Int64[np.ndarray, " restart"]
    stop_reasons: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of restarts."""
        return len(self.losses)

    def restart(self, index: int) -> Restart:
        """Return one restart, by its index from 0."""
        i = checked_whole("index", index, range(len(self)))
        return Restart(
            architecture=self.architecture,
            index=i,
            parameters={name: values[i] for name, values in self.parameters.items()},
            loss=float(self.losses[i]),
            test_loss=float(self.test_losses[i]),
            gradient_norm=float(self.gradient_norms[i]),
            iterations=int(self.iterations[i]),
            stop_reason=self.stop_reasons[i],
        )

    def best(self) -> Restart:
        """Return the restart of lowest finite training loss; the test loss is never asked.

        Raises
        ------
        MlpReportError
            If no restart ended with a finite training loss.
        """
        if not np.isfinite(self.losses).any():
            message = (
                f"none of {len(self)} restarts of {self.architecture.label} ended with a finite training loss "
                f"(method {self.method!r}, seed {self.seed}); scale the data or change the method or the seed"
            )
            raise MlpReportError(message)
        return self.restart(int(np.argmin(np.where(np.isfinite(self.losses), self.losses, np.inf))))

    def predict(
        self,
        x: Float64[np.ndarray, "n inputs"],
        *,
        restarts: Int64[np.ndarray, " restart"] | Bool[np.ndarray, " all"] | None = None,
    ) -> Float64[np.ndarray, "restart n outputs"]:
        """Compute the outputs of every restart's network, or of those with these indices or this mask, at points x.

        Raises
        ------
        InvalidInputError
            If x is no array of points, or an index is none from 0 on that a restart has, or a mask not of all restarts.
        """
        points = checked_points("x", x, self.architecture.sizes[0])
        count = self.architecture.parameter_count
        rows = np.hstack([values.reshape(len(self), -1) for values in self.parameters.values()])
        chosen = rows[self._indices(restarts)].reshape(-1, count)
        return outputs(self.architecture, chosen, points)

    def _indices(self, restarts: Any) -> Int64[np.ndarray, " restart"]:
        given = np.arange(len(self)) if restarts is None else np.asarray(restarts).reshape(-1)
        if given.dtype == bool:
            if given.size != len(self):
                message = f"restarts: a mask of {given.size}, but there are {len(self)} restarts; give one entry each"
                raise InvalidInputError(message)
            given = np.flatnonzero(given)
        whole = np.issubdtype(given.dtype, np.integer)
        for index in given[~np.isin(given, np.arange(len(self))) | (not whole)]:
            checked_whole("restarts: index", index, range(len(self)))
        return given.astype(np.int64)
