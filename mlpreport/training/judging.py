"""What a point of the loss is: the verdict, and one sentence with the numbers that decide it."""

from dataclasses import dataclass

import numpy as np

from mlpreport.derivation.symmetries import symmetries
from mlpreport.training.ensemble import Restart
from mlpreport.training.intervals import UndecidedError
from mlpreport.training.limit_search import Found, decompositions, limit_of, minimise_limit
from mlpreport.training.limits import Limit
from mlpreport.training.objective import Objective, Vector
from mlpreport.training.problem import Problem
from mlpreport.training.stationary import PROVABLE, Free, Measured, Proof, descends, prove

REDUCIBLE = 20
"""Most parameters for which limits and flat manifolds are looked for."""

SAME_FUNCTION = 0.02
"""Root mean square distance, in units of that of y, up to which a network counts as near its limit function."""


@dataclass(frozen=True, eq=False)
class Finding:
    """A verdict with its reason; dimension of a flat manifold, radius of the box of a proof, and limit."""

    verdict: str
    because: str
    dimension: int = 0
    radius: float = float("nan")
    limit: Limit | None = None


def judge(objective: Objective, measured: Measured, train: Problem, test: Problem) -> Finding:
    """Judge the point that was measured, for the network's loss on the training points."""
    if objective.size > PROVABLE:
        reason = f"{objective.size} parameters are more than the {PROVABLE} for which proofs are tried"
        return Finding("unproved", f"{reason}; {numbers(measured)}")
    free, dimension = free_coordinates(objective, measured.point, train)
    try:
        proof = prove(objective, measured, free)
    except UndecidedError:
        reason = f"a unit is at a kink of {train.architecture.activation} for some point, where there is no Hessian"
        return Finding("unproved", f"{reason}; {numbers(measured)}")
    if proof is not None:
        return _isolated(proof, measured) if not dimension else _scaled(proof, dimension)
    if descends(objective, measured):
        reason = f"the enclosure of the gradient contains 0, and a curvature is {measured.spectrum[0]:.3g}"
        return Finding("saddle", f"{reason}; the point is not isolated")
    small = objective.size <= REDUCIBLE
    found = _at_infinity_or_flat(objective, measured, train, test) if small else None
    return found or Finding("unproved", f"no proof was found; {numbers(measured)}")


def free_coordinates(objective: Objective, point: Vector, train: Problem) -> tuple[Free, int]:
    """Return the parameters left when positive scaling and dead units are fixed, and the dimension of what is fixed.

    In each unit of a homogeneous activation the largest weight or bias is fixed; of one that is 0 at all points,
    everything, for then nothing depends on it.
    """
    if symmetries(train.architecture.activation).degree is None:
        return None, 0
    network = as_network(objective, point, train)
    places = objective.named(np.arange(objective.size))
    fixed: list[int] = []
    for layer, values in enumerate(network.hidden(train.x), start=1):
        into = np.vstack([places[f"W{layer}"], places[f"b{layer}"]])
        for unit in range(values.shape[1]):
            if np.ptp(values[:, unit]) == 0 == values[0, unit]:
                fixed += [*into[:, unit], *places[f"W{layer + 1}"][unit]]
            else:
                fixed.append(int(into[np.argmax(np.abs(point[into[:, unit]])), unit]))
    fixed = sorted(set(map(int, fixed)))
    return np.setdiff1d(np.arange(objective.size), fixed), len(fixed)


def as_network(objective: Objective, point: Vector, train: Problem) -> Restart:
    """Return the network with these parameters."""
    shapes = train.architecture.parameter_shapes
    named = {name: values.reshape(shapes[name]) for name, values in objective.named(point).items()}
    return Restart(train.architecture, 0, named, np.nan, np.nan, np.nan, 0, "")


def numbers(measured: Measured) -> str:
    """Say the numbers of a point that decide nothing."""
    return (
        f"gradient norm {np.abs(measured.gradient).max():.2g}, decrement {measured.decrement:.2g}, "
        f"smallest Hessian eigenvalue {measured.spectrum[0]:.2g}, parameter norm {np.linalg.norm(measured.point):.3g}"
    )


def _zero(proof: Proof) -> str:
    return f"the gradient has exactly one zero within {proof.radius:.0e} of each parameter (Krawczyk)"


def _scaled(proof: Proof, dimension: int) -> Finding:
    kind = (
        "positive definite Hessian (LDLᵀ)"
        if proof.minimum
        else f"a direction of curvature {proof.curvature:.3g}"
    )
    reason = f"{dimension} parameters are free by positive scaling of units or because units are dead; for the others "
    verdict = "flat manifold" if proof.minimum else "saddle"
    return Finding(
        verdict, f"{reason}{_zero(proof)}, and there is a {kind} on that box", dimension, proof.radius
    )


def _isolated(proof: Proof, measured: Measured) -> Finding:
    zero = _zero(proof)
    if proof.minimum:
        reason = f"{zero}, and the Hessian is positive definite on all of that box (LDLᵀ)"
        lowest = f"its smallest eigenvalue is {measured.spectrum[0]:.3g}"
        return Finding("minimum", f"{reason}; {lowest}", radius=proof.radius)
    count = int((measured.spectrum < 0).sum())
    reason = (
        f"{zero}, and the curvature along one direction is {proof.curvature:.3g} or so on all of that box"
    )
    return Finding(
        "saddle",
        f"{reason}; {count} of {len(measured.spectrum)} eigenvalues are negative",
        radius=proof.radius,
    )


def _at_infinity_or_flat(
    objective: Objective, measured: Measured, train: Problem, test: Problem
) -> Finding | None:
    """Look for the function that a network of one smooth hidden layer approaches, or shares with a smaller one."""
    architecture = train.architecture
    if (
        len(architecture.hidden) != 1
        or architecture.sizes[-1] != 1
        or symmetries(architecture.activation).kinks
    ):
        return None
    network = as_network(objective, measured.point, train)
    hidden, fit = network.hidden(train.x)[0], network.predict(train.x)[:, 0]
    nearest = SAME_FUNCTION * np.sqrt(np.mean(train.y**2))
    for parts in decompositions(hidden, network.parameters, architecture.activation, train.x):
        found = minimise_limit(train, network.parameters, parts)
        if found is None or np.sqrt(np.mean((found.values - fit) ** 2)) > nearest:
            continue
        if not found.at_infinity:
            return _flat(found, train)
        if min(found.slopes) > 0:
            return _limit(found, measured, train, test)
    return None


def _flat(found: Found, train: Problem) -> Finding:
    parts, smaller = found.parts, f"{len(found.parts.ordinary)} units"
    reasons = [f"{len(parts.constant)} of the units are constant at all points"] * bool(parts.constant)
    reasons += [f"{len(parts.doubles)} of the units double another"] * bool(parts.doubles)
    reason = (
        f"{' and '.join(reasons)}: the function is that of a network with {smaller}, whose loss "
        f"{found.measured.loss:.12g} is a proved minimum (smallest eigenvalue {found.measured.spectrum[0]:.2g}), "
        "and can be had in many ways"
    )
    return Finding("flat manifold", reason, _dimension(found, train), found.proof.radius)


def _dimension(found: Found, train: Problem) -> int:
    """Count what is free: weights, bias and share of the constant of a constant unit, share of a weight of a double."""
    return len(found.parts.constant) * (train.architecture.sizes[0] + 2) + len(found.parts.doubles)


def _limit(found: Found, measured: Measured, train: Problem, test: Problem) -> Finding:
    limit = limit_of(found, train, test)
    reason = (
        f"{limit.kind}: no network attains the loss {limit.loss:.12g} of the limit function, a proved minimum "
        f"of its kind (smallest eigenvalue {found.measured.spectrum[0]:.2g}); off it the loss rises at a rate of at "
        f"least {limit.slope:.2g}; this network is {measured.loss - limit.loss:.1e} above, and the norm of its "
        f"parameters is {np.linalg.norm(measured.point):.3g}"
    )
    return Finding(
        "limit at infinity", reason, dimension=_dimension(found, train), radius=limit.radius, limit=limit
    )
