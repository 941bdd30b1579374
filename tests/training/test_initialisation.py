"""Starting parameters are the report's, from the streams that NumPy itself makes of seed and index."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from mlpreport.training import Architecture
from mlpreport.training.fitting import SEEDS
from mlpreport.training.initialisation import initial_parameters

NETWORK = Architecture((2, 3, 1), "sigmoid")


@given(st.integers(0, SEEDS.stop - 1), st.integers(0, 2**32 - 3))
@example(0, 0)
@example(SEEDS.stop - 1, 2**32 - 3)
def test_every_restart_has_the_stream_of_its_seed_and_index(seed, index):
    rows = initial_parameters(NETWORK, seed=seed, restarts=range(index, index + 2))
    scales = np.repeat([2, 3, 3, 1], [6, 3, 3, 1]) ** -0.5
    for offset, row in enumerate(rows):
        sequence = np.random.SeedSequence(seed, spawn_key=(index + offset,))
        expected = np.random.Generator(np.random.Philox(sequence)).standard_normal(13) * scales
        np.testing.assert_allclose(row, expected, rtol=1e-15)
