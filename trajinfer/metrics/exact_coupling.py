"""The optimal coupling itself, or its potentials, where a distance alone does not do."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from scipy.spatial.distance import cdist

from trajinfer._core.checks import Array
from trajinfer._core.errors import NotConverged
from trajinfer.metrics.samples import common_scale

_OPTIMAL = 1  # the network simplex's own code


def exact_coupling(
    x: Array, y: Array, a: Array | None = None, b: Array | None = None
) -> scipy.sparse.csr_array:
    r"""Optimal coupling of two weighted samples for squared Euclidean cost.

    .. math:: \pi = \operatorname*{arg\,min}_{\pi 1 = a,\; \pi^T 1 = b}
        \sum_{ij} \pi_{ij} |x_i - y_j|^2

    Args:
        x: (n, D).
        y: (m, D).
        a: (n,) weights summing to 1; None for equal ones.
        b: (m,) weights; None for equal ones.

    Returns:
        (n, m) sparse matrix with at most n + m - 1 entries. O(n m) memory while it is computed.

    Raises:
        NotConverged: if the network simplex stops before the optimum.

    Example:
        >>> exact_coupling(np.array([[0.0], [1.0]]), np.array([[1.1], [0.2]])).toarray().tolist()
        [[0.0, 0.5], [0.5, 0.0]]
    """
    import ot  # half a second to import: only paid where an exact plan is asked for

    mass_x = np.full(len(x), 1 / len(x)) if a is None else a
    mass_y = np.full(len(y), 1 / len(y)) if b is None else b
    limit = max(1_000_000, 200 * (len(x) + len(y)))
    # The simplex compares costs to an absolute tolerance: tiny ones would all count as equal.
    cost = cdist(*common_scale(x, y)[:2], "sqeuclidean")
    plan, log = ot.emd(mass_x, mass_y, cost, numItermax=limit, log=True)
    if log["result_code"] != _OPTIMAL:
        raise NotConverged(
            f"the network simplex stopped before the optimum after {limit} pivots on a "
            f"{len(x)} x {len(y)} problem; try fewer points"
        )
    return scipy.sparse.csr_array(plan)


def exact_potential(cost: Array, a: Array, b: Array) -> Array:
    r"""Potential of the rows that certifies the optimal coupling of masses.

    The pair f, g maximises $\langle a, f \rangle + \langle b, g \rangle$ where
    $f_i + g_j \le C_{ij}$. Short of the optimum, where the simplex takes too long, it is the pair
    reached.

    Args:
        cost: (n, m), in units in which differences of 1e-9 say nothing.
        a: (n,) positive masses.
        b: (m,) positive masses of the same sum.

    Returns:
        (n,) f, up to a constant.
    """
    import ot  # half a second to import: only paid where an exact plan is asked for

    limit = max(1_000_000, 200 * (len(a) + len(b)))
    _, log = ot.emd(a / a.sum(), b / b.sum(), cost, numItermax=limit, log=True)
    return np.asarray(log["u"])
