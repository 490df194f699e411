"""Rate matrices and laws on the states: checks and what follows from them in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.integrate import trapezoid
from scipy.sparse.csgraph import connected_components

from trajinfer._core.checks import Array, as_array, require_finite
from trajinfer._core.errors import InputError


def as_rates(rates: Any) -> Array:
    """A rate matrix (S, S) in float64, its diagonal set so that rows sum to 0 exactly.

    Raises:
        InputError: if it is not square and finite, an off-diagonal rate is negative, or rows do
            not sum to 0 (a zero diagonal is filled in).
    """
    matrix = as_array(rates, "rates", ndim=2)
    if matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise InputError(f"rates must be a square matrix, got shape {matrix.shape}")
    require_finite(matrix, "rates")
    diagonal = np.diag(matrix).copy()
    np.fill_diagonal(matrix, 0.0)
    if (matrix < 0).any():
        i, j = np.argwhere(matrix < 0)[0]
        raise InputError(f"rate {i} -> {j} is {matrix[i, j]:g}; rates must not be negative")
    exits = matrix.sum(axis=1)
    if diagonal.any() and not np.allclose(diagonal, -exits, rtol=1e-6, atol=1e-8 * exits.max()):
        raise InputError(
            f"rows of rates must sum to 0, got {diagonal + exits}; rates[i, j] is i -> j, so "
            "transpose the matrix if its columns sum to 0"
        )
    np.fill_diagonal(matrix, -exits)
    return matrix


def as_law(law: Any, n_states: int, name: str) -> Array:
    """A probability vector (S,), normalised.

    Raises:
        InputError: if it has the wrong length, a negative entry or a sum other than 1.
    """
    vector = as_array(law, name, ndim=1)
    require_finite(vector, name)
    if len(vector) != n_states or (vector < 0).any() or abs(vector.sum() - 1) > 1e-6:
        raise InputError(
            f"{name} must be {n_states} probabilities summing to 1, got {vector.tolist()}"
        )
    return np.asarray(vector / vector.sum())


def off_diagonal(rates: Array) -> Array:
    """The matrix with zeros on its diagonal; works on a stack (..., S, S)."""
    return np.where(np.eye(rates.shape[-1], dtype=bool), 0.0, rates)


def with_diagonal(off_diagonal: Array) -> Array:
    """The rate matrix with the given off-diagonal entries; works on a stack (..., S, S)."""
    eye = np.eye(off_diagonal.shape[-1], dtype=bool)
    matrix = np.where(eye, 0.0, off_diagonal)
    return np.asarray(matrix - matrix.sum(axis=-1)[..., None] * eye)


def recurrent_classes(rates: Array) -> list[Array]:
    """The closed communicating classes, each as an array of states."""
    links = (rates > 0) & ~np.eye(len(rates), dtype=bool)
    count, label = connected_components(links, directed=True, connection="strong")
    leaves = links & (label[:, None] != label[None, :])
    closed = [np.flatnonzero(label == k) for k in range(count) if not leaves[label == k].any()]
    return sorted(closed, key=lambda members: int(members[0]))


def stationary_distribution(rates: Any) -> Array:
    r"""The law with $\pi F = 0$, $\sum_i \pi_i = 1$.

    Args:
        rates: (S, S) rate matrix.

    Returns:
        (S,) probabilities; states that are left for good have 0.

    Raises:
        InputError: if there is more than one recurrent class, as the law is then not unique; see
            `stationary_laws`.

    Example:
        >>> stationary_distribution([[-1, 1], [3, -3]])
        array([0.75, 0.25])
    """
    laws = stationary_laws(rates)
    if len(laws) > 1:
        raise InputError(
            f"the chain has {len(laws)} recurrent classes, so its stationary law is not unique; "
            "jumps.stationary_laws gives one law per class"
        )
    return np.asarray(laws[0])


def stationary_laws(rates: Any) -> Array:
    """One stationary law per recurrent class, (n_classes, S)."""
    matrix = as_rates(rates)
    classes = recurrent_classes(matrix)
    laws = np.zeros((len(classes), len(matrix)))
    for law, members in zip(laws, classes):
        law[members] = _irreducible_law(matrix[np.ix_(members, members)])
    return laws


def _irreducible_law(rates: Array) -> Array:
    """Elimination of states one by one: no subtraction, so no loss of digits for slow processes."""
    matrix = np.where(np.eye(len(rates), dtype=bool), 0.0, rates)
    n = len(matrix)
    for k in range(n - 1, 0, -1):
        matrix[:k, k] /= matrix[k, :k].sum()
        matrix[:k, :k] += np.outer(matrix[:k, k], matrix[k, :k])
    law = np.zeros(n)
    law[0] = 1.0
    for k in range(1, n):
        law[k] = law[:k] @ matrix[:k, k]
    return np.asarray(law / law.sum())


def relaxation_times(rates: Any) -> Array:
    r"""$1 / |\mathrm{Re}\,\lambda_k|$ for the non-zero eigenvalues, slowest first.

    A complex pair stands twice; `oscillating` says which of the times belong to one. With c
    recurrent classes the eigenvalue 0 has multiplicity c and S - c times are returned.
    """
    return np.asarray(1 / np.abs(_nonzero_eigenvalues(rates).real))


def oscillating(rates: Any) -> Array:
    """(S - 1,) bool, beside `relaxation_times`: True for those of a complex pair."""
    values = _nonzero_eigenvalues(rates)
    return np.asarray(np.abs(values.imag) > 1e-9 * np.abs(values))


def _nonzero_eigenvalues(rates: Any) -> Array:
    matrix = as_rates(rates)
    values = np.linalg.eigvals(matrix)
    values = values[np.argsort(np.abs(values))][len(recurrent_classes(matrix)) :]
    return np.asarray(values[np.argsort(np.abs(values.real), kind="stable")])


def mean_first_passage_times(rates: Any) -> Array:
    r"""Mean time from i to the first visit of j: $\sum_k F_{ik} \tau_{kj} = -1$ for i other than j.

    Returns:
        (S, S) with zero diagonal; inf where j is not reached from i with probability 1.
    """
    matrix = as_rates(rates)
    n = len(matrix)
    times = np.full((n, n), np.inf)
    np.fill_diagonal(times, 0.0)
    for target in range(n):
        certain = _reached_for_sure(matrix, target)
        if len(certain):
            block = matrix[np.ix_(certain, certain)]
            times[certain, target] = np.linalg.solve(block, -np.ones(len(certain)))
    return times


def _reached_for_sure(rates: Array, target: int) -> Array:
    """States other than the target that hit it with probability 1."""
    links = (rates > 0) & ~np.eye(len(rates), dtype=bool)
    links[target] = False
    reach = np.linalg.matrix_power((links | np.eye(len(rates), dtype=bool)).astype(float), 1) > 0
    for _ in range(int(np.ceil(np.log2(max(len(rates), 2))))):
        reach = (reach.astype(float) @ reach.astype(float)) > 0
    hits = reach[:, target]
    sure = hits & ~(reach & ~hits[None, :]).any(axis=1)
    sure[target] = False
    return np.flatnonzero(sure)


def entropy_production(rates: Any, law: Any = None, *, links: str = "all") -> float:
    r"""Rate $\sum_{i \ne j} p_i F_{ij} \log \frac{p_i F_{ij}}{p_j F_{ji}}$ in the law p.

    Args:
        rates: (S, S) rate matrix.
        law: (S,) the law p; None is the stationary law.
        links: "all", or "bidirectional" to leave out links that have no reverse.

    Returns:
        The rate, inf where a link in use has no reverse and `links="all"`; 0 in detailed balance.

    Raises:
        InputError: if the law is not valid, or not unique where it is left out.
    """
    if links not in ("all", "bidirectional"):
        raise InputError(f"links must be 'all' or 'bidirectional', got {links!r}")
    matrix = as_rates(rates)
    p = stationary_distribution(matrix) if law is None else as_law(law, len(matrix), "law")
    flux = np.where(np.eye(len(matrix), dtype=bool), 0.0, p[:, None] * matrix)
    both = (flux > 0) & (flux.T > 0)
    if links == "all" and ((flux > 0) & ~both).any():
        return float("inf")
    logs = np.log(np.where(both, flux, 1.0)) - np.log(np.where(both, flux.T, 1.0))
    return float((np.where(both, flux, 0.0) * logs).sum())


def total_entropy_production(
    rates: Any, initial: Any, horizon: float, *, links: str = "all", n_points: int = 201
) -> float:
    r"""$\int_0^T \sigma(t)\,dt$ along $p(t) = p(0) e^{Ft}$, by the trapezoidal rule.

    Raises:
        InputError: if an argument is not valid.
    """
    from scipy.linalg import expm

    matrix = as_rates(rates)
    if not (np.isfinite(horizon) and horizon > 0) or n_points < 2:
        raise InputError(f"horizon must be positive and n_points > 1, got {horizon}, {n_points}")
    law = as_law(initial, len(matrix), "initial")
    step = expm(matrix * horizon / (n_points - 1))
    values = np.empty(n_points)
    for k in range(n_points):
        values[k] = entropy_production(matrix, law / law.sum(), links=links)
        law = np.maximum(law @ step, 0.0)
    return float(trapezoid(values, dx=horizon / (n_points - 1)))
