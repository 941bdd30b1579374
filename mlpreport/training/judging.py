"""What a point of the loss is: the verdict, and one sentence with the numbers that decide it."""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal

import numpy as np

from mlpreport.derivation.symmetries import symmetries
from mlpreport.training.decompositions import decompositions
from mlpreport.training.freedom import Freedom, as_network, free_coordinates
from mlpreport.training.intervals import UndecidedError
from mlpreport.training.limit_search import Found, limit_of, minimise_limit
from mlpreport.training.limits import Limit
from mlpreport.training.objective import Objective
from mlpreport.training.problem import Problem
from mlpreport.training.proofs import Proof, prove
from mlpreport.training.stationary import PROVABLE, Measured, descends, rests

REDUCIBLE = 20
"""Most parameters for which limits and flat manifolds are looked for."""

SAME_FUNCTION = 0.02
"""Root mean square distance, in units of that of y, up to which a network counts as near its limit function."""

SAME_VALUES = 1e-4
"""The same distance up to which a network counts as one of fewer units."""

ZERO = 1e-24
"""Loss, in units of the mean square of y, that is 0 but for rounding."""


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
    free = free_coordinates(objective, measured.point, train, zero=ZERO)
    try:
        proof = prove(objective, measured, free.moving)
    except UndecidedError:
        reason = f"a unit is at a kink of {train.architecture.activation} for some point, where there is no Hessian"
        return Finding("unproved", f"{reason}; {numbers(measured)}")
    if proof is not None:
        return _with_free(proof, free) if free.dimension else _isolated(proof, measured)
    if descends(objective, measured):
        reason = "along one direction the loss is lower on both sides, which is proved with balls"
        return Finding("saddle", f"{reason}; {numbers(measured)}; the point is not isolated")
    small = objective.size <= REDUCIBLE
    found = _at_infinity_or_flat(objective, measured, train, test) if small else None
    return found or Finding("unproved", f"no proof was found; {numbers(measured)}")


def numbers(measured: Measured) -> str:
    """Say the numbers of a point that decide nothing."""
    return (
        f"gradient norm {np.abs(measured.gradient).max():.2g}, decrement {measured.decrement:.2g}, "
        f"smallest Hessian eigenvalue {measured.spectrum[0]:.2g}, parameter norm {np.linalg.norm(measured.point):.3g}"
    )


def _zero(proof: Proof) -> str:
    where = "each parameter"
    if proof.away:
        where = f"a point that Newton's method finds, in more digits, {proof.away:.0e} from the parameters"
    return f"the gradient has exactly one zero within {proof.radius:.0e} of {where} (Krawczyk)"


def _with_free(proof: Proof, free: Freedom) -> Finding:
    verdict, kind = "flat manifold", "positive definite Hessian (LDLᵀ)"
    if not proof.minimum:
        verdict, kind = "saddle", f"direction of curvature {proof.curvature:.3g}"
    count = f"{free.dimension} parameter{'s are' if free.dimension > 1 else ' is'} free, as {free.why}"
    reason = f"{count}; for the others {_zero(proof)}, and there is a {kind} on that box"
    return Finding(verdict, reason, free.dimension, proof.radius)


def _isolated(proof: Proof, measured: Measured) -> Finding:
    zero = _zero(proof)
    if proof.minimum:
        reason = f"{zero}, and the Hessian is positive definite on all of that box (LDLᵀ)"
        lowest = f"its smallest eigenvalue is about {measured.spectrum[0]:.3g}"
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
    scale = np.sqrt(np.mean(train.y**2))
    for parts in decompositions(hidden, network.parameters, architecture.activation, train.x):
        found = minimise_limit(train, network.parameters, parts)
        apart = np.inf if found is None else np.sqrt(np.mean((found.values - fit) ** 2))
        if found is None or apart > (SAME_FUNCTION if found.at_infinity else SAME_VALUES) * scale:
            continue
        # Beside a unit without weights the gradient vanishes, too, only where there are no errors.
        if parts.still + parts.idle and found.measured.loss > ZERO * scale**2:
            continue
        if not found.at_infinity and rests(measured):
            return _flat(found, train)
        if found.at_infinity and min(found.slopes) > 0:
            return _limit(found, measured, train, test)
    return None


def _flat(found: Found, train: Problem) -> Finding:
    count = len(found.parts.ordinary)
    reason = (
        f"{' and '.join(found.parts.told)}: the function is that of a network with {count} unit{'s' * (count != 1)}, "
        f"whose loss {found.measured.loss:.12g} is a proved minimum (its smallest eigenvalue is about "
        f"{found.measured.spectrum[0]:.2g}), and can be had in many ways"
    )
    return Finding("flat manifold", reason, found.parts.dimension(train.architecture), found.proof.radius)


def _rounded_down(bound: float) -> str:
    """Write a lower bound with three digits, so that it stays one."""
    return str(Context(prec=3, rounding=ROUND_FLOOR).create_decimal(Decimal(bound))).lower()


RISES = {
    "merging units": "in 1/d², where d is the difference of the output weights of the two units",
    "step": "in the distance of a value beside the step from that of the step",
}
"""What the slope of the loss at a limit is measured in, by the kind of the limit."""


def _limit(found: Found, measured: Measured, train: Problem, test: Problem) -> Finding:
    limit = limit_of(found, train, test)
    reason = (
        f"{limit.kind}: near the limit every network has a larger loss than the limit function, {limit.loss:.12g}, "
        f"which is a proved minimum of its kind (its smallest eigenvalue is about {found.measured.spectrum[0]:.2g}); "
        f"off it the loss rises with a slope of at least {_rounded_down(limit.slope)} "
        f"{', and '.join(RISES[kind] for kind in limit.kind.split(' and '))}; this network is "
        f"{measured.loss - limit.loss:.1e} above, and the norm of its parameters is "
        f"{np.linalg.norm(measured.point):.3g}"
    )
    return Finding(
        "limit at infinity",
        reason,
        dimension=found.parts.dimension(train.architecture),
        radius=limit.radius,
        limit=limit,
    )
