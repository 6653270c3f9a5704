"""The least cost of transport, against all assignments and against the plain distance on a line."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import wasserstein_distance

from nlpseq.vectors.transport import transport_cost


@pytest.mark.slow
@given(st.integers(1, 5).flatmap(lambda n: hnp.arrays(float, (n, n), elements=st.floats(0, 9))))
def test_equal_shares_move_by_the_best_assignment(cost) -> None:
    shares = np.full(len(cost), 1 / len(cost))
    assignments = permutations(range(len(cost)))
    best = min(sum(cost[a, b] for a, b in enumerate(targets)) for targets in assignments)
    assert transport_cost(cost, shares, shares) == pytest.approx(best / len(cost), abs=1e-7)


@pytest.mark.parametrize(("num_a", "num_b"), [(1, 1), (1, 4), (3, 1), (4, 6)])
def test_shares_on_a_line_move_by_wasserstein_distance(num_a: int, num_b: int) -> None:
    rng = np.random.default_rng(num_a)
    a, b = rng.normal(size=num_a), rng.normal(size=num_b)
    supply, demand = rng.dirichlet(np.ones(num_a)), rng.dirichlet(np.ones(num_b))
    expected = wasserstein_distance(a, b, supply, demand)
    assert transport_cost(np.abs(a[:, None] - b), supply, demand) == pytest.approx(expected)
