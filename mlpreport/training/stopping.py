"""Why a restart ends, and where a compiled method finds its settings: small numbers that kernels and callers share."""

STOP_REASONS = ("converged", "stalled", "iteration limit", "not finite")
"""Why a restart ended: a tolerance was met; no further decrease within precision; out of iterations; overflow."""

CONVERGED, STALLED, ITERATION_LIMIT, NOT_FINITE = range(len(STOP_REASONS))
"""Stop codes of the compiled methods: places in `STOP_REASONS`."""

MAX_ITERATIONS, GRADIENT_TOLERANCE, DECREMENT_TOLERANCE, LEARNING_RATE, FIRST_DAMPING = range(5)
"""Places in the options vector of the compiled methods."""
