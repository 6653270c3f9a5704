"""Optimal transport by linear programming.

Letters: A sources, B targets.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["transport_cost"]

Doubles = npt.NDArray[np.float64]


def transport_cost(cost_AB: Doubles, supply_A: Doubles, demand_B: Doubles) -> float:
    """Return the least cost of moving all supply to the demand.

    cost_AB: of one unit from a source to a target. supply_A and demand_B have the same sum.
    """
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    num_A, num_B = cost_AB.shape
    leaving = kron(eye_array(num_A), np.ones((1, num_B)))  # sums of the flows of a source
    arriving = kron(np.ones((1, num_A)), eye_array(num_B))
    sums: Any = vstack([leaving, arriving], format="csr")
    wanted = np.concatenate([supply_A, demand_B * (supply_A.sum() / demand_B.sum())])
    # the last sum follows from the others, and rounding could contradict it
    plan = linprog(cost_AB.ravel(), A_eq=sums[:-1], b_eq=wanted[:-1], method="highs")
    assert plan.fun is not None, plan.message
    return max(0.0, float(plan.fun))
