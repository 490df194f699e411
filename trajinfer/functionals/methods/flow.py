r"""What a chain does in a time: $e^{A t} v$ for the rates A of a chain, or of cells of a grid.

Three ways, by size and by how many jumps the fastest state makes in the time:

- up to 1000 states: the exponential itself, kept for the durations that come again;
- few jumps: Taylor polynomials, whose work grows with their number;
- many jumps: projection on $v, R v, R^2 v, \ldots$ with $R = (1 - \gamma A)^{-1}$. Fast modes have
  died by then and R does not see them, so a few tens of solves with one factorisation do, on cells
  of any width and beside walls that lie next to a centre.

References:
    van den Eshof and Hochbruck, Preconditioning Lanczos approximations to the matrix exponential,
    SIAM Journal on Scientific Computing 27 (2006).
    Al-Mohy and Higham, Computing the action of the matrix exponential, SIAM Journal on Scientific
    Computing 33 (2011), for the polynomials.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from trajinfer._core.checks import Array
from trajinfer._core.seeding import own_numpy_stream

_DENSE = 1000
_MANY_JUMPS = 500
_SHARE = 0.1  # gamma, of the duration
_MOST, _LOOK = 60, 5  # vectors, and how many are added between two looks
_CLOSE = 1e-12  # change of the coefficients, of a state of norm 1
_COMPLETE = 1e-14


class Flow:
    """exp(matrix t), applied step by step.

    Args:
        matrix: (S, S) rates, their transpose, or rates with columns of rewards; dense or sparse.
    """

    def __init__(self, matrix: Any) -> None:
        small = scipy.sparse.issparse(matrix) and matrix.shape[0] <= _DENSE
        self.matrix = matrix.toarray() if small else matrix
        self._exponentials: dict[float, Array] = {}
        self._factors: tuple[float, Any] | None = None  # of the last duration: they are large
        self._fastest = float(np.abs(matrix.diagonal()).max(initial=0.0))
        self._reach = np.inf

    def move(self, duration: float, state: Array) -> Array:
        """exp(matrix duration) state, for a state (S,) or (S, K)."""
        if not scipy.sparse.issparse(self.matrix):
            return np.asarray(self._exponential(duration) @ state)
        if self._fastest * duration <= _MANY_JUMPS:
            with own_numpy_stream(0):  # the norm is estimated by random signs
                return np.asarray(scipy.sparse.linalg.expm_multiply(self.matrix * duration, state))
        moved = self._projected(np.array([duration]), state) if duration <= self._reach else None
        if moved is not None:
            return np.asarray(moved[0])
        self._reach = min(self._reach, duration / 2)
        return self.move(duration / 2, self.move(duration / 2, state))

    def along(self, times: Array, state: Array) -> Array:
        """exp(matrix t) state at increasing times t (T,), as (T, S) or (T, S, K)."""
        last = float(times[-1])
        if scipy.sparse.issparse(self.matrix) and self._fastest * last > _MANY_JUMPS:
            moved = self._projected(times, state) if last <= self._reach else None
            if moved is not None:
                return moved
        rows = []
        for gap in np.diff(times, prepend=0.0):
            state = self.move(gap, state) if gap > 0 else state
            rows.append(state)
        return np.stack(rows)

    def _projected(self, times: Array, state: Array) -> Array | None:
        """States at all times by one projection; None where so few vectors do not hold them."""
        last = float(times[-1])
        solver = self._solver(last)
        moved = []
        for column in state.reshape(len(state), -1).T:
            path = _on_powers(solver, _SHARE * last, times, column)
            if path is None:
                return None
            moved.append(path)
        return np.stack(moved, axis=2).reshape(len(times), *state.shape)

    def _exponential(self, duration: float) -> Array:
        key = float(f"{duration:.12g}")
        if key not in self._exponentials:
            self._exponentials[key] = scipy.linalg.expm(self.matrix * key)
        return self._exponentials[key]

    def _solver(self, duration: float) -> Any:
        if self._factors is None or self._factors[0] != duration:
            one = scipy.sparse.eye_array(self.matrix.shape[0])
            system = scipy.sparse.csc_matrix(one - _SHARE * duration * self.matrix)
            self._factors = duration, scipy.sparse.linalg.splu(system)
        return self._factors[1]


def _on_powers(solver: Any, gamma: float, times: Array, start: Array) -> Array | None:
    """exp(A t) start (T, S) on the powers of (1 - gamma A)^-1, orthogonal by Arnoldi's way."""
    size = np.linalg.norm(start)
    if size == 0:
        return np.zeros((len(times), len(start)))
    basis = np.zeros((_MOST + 1, len(start)))
    table, before = np.zeros((_MOST + 1, _MOST)), np.zeros((len(times), _MOST))
    basis[0] = start / size
    for k in range(1, _MOST + 1):
        vector = solver.solve(basis[k - 1])
        for _ in range(2):  # twice is enough for orthogonality to rounding
            along = basis[:k] @ vector
            table[:k, k - 1] += along
            vector = vector - along @ basis[:k]
        left = np.linalg.norm(vector)
        complete = left <= _COMPLETE
        if k % _LOOK == 0 or complete:
            rates = (np.eye(k) - np.linalg.inv(table[:k, :k])) / gamma
            now = scipy.linalg.expm(times[:, None, None] * rates)[:, :, 0]
            if complete or np.abs(now - before[:, :k]).max() <= _CLOSE:
                return np.asarray(size * (now @ basis[:k]))
            before[:, :k] = now
        table[k, k - 1], basis[k] = left, vector / left
    return None
