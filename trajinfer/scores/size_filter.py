"""Sequential Monte Carlo over the sizes of innovations, given some linear values of a series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import solve_triangular

from trajinfer._core.checks import Array
from trajinfer._core.seeding import torch_generator
from trajinfer.diffusion.resampling import effective_size, systematic
from trajinfer.scores.cell_sizes import CellSizes, normals

_LEAST = 1e-10
_LOG_TWO_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False)
class Linear:
    r"""Values $y = F z + e$, $e \sim N(0, E)$, of innovations z that come cell after cell.

    Attributes:
        rows: (m, D) F.
        beside: (m, m) E.
        known: (m,) bool.
        values: (m,) y, read where known.
    """

    rows: Array
    beside: Array
    known: Array
    values: Array

    @property
    def order(self) -> Array:
        """(n,) the known values, by the last cell that they depend on."""
        places = np.flatnonzero(self.known)
        return np.asarray(places[np.argsort(self.last[places], kind="stable")])

    @property
    def last(self) -> Array:
        """(m,) the last cell that a value depends on."""
        dim = self.rows.shape[1]
        return np.asarray(dim - 1 - np.argmax(self.rows[:, ::-1] != 0, axis=1))

    @property
    def told(self) -> Array:
        """(q,) innovations of the first cells, where the first known values tell them."""
        order = self.order
        lone = np.count_nonzero(self.beside[order], axis=1) <= 1
        whole = (self.last[order] == np.arange(len(order))) & lone
        q = len(whole) if whole.all() else int(np.argmin(whole))
        first = order[:q]
        z: Array = solve_triangular(self.rows[first][:, :q], self.values[first], lower=True)
        return z


class SizeFilter:
    """Particles of sizes that walk along a series, weighted by the values known of it.

    A particle holds the size of every channel and, cell by cell, the part of the noise; given
    these the series is Gaussian, and its known values are factored as they come. The part of a cell
    whose value is known is drawn from its law given that value. What a known value adds to the
    weight is its density; where weights grow uneven, particles are drawn anew by them.

    Args:
        sizes: of the innovations.
        knots: (J,) times of the cells.
        asked: values, of which some are known.
        n_particles: P.
        seed: of all draws.

    Attributes:
        shift, spread: (P, D) mean and standard deviation of every innovation of a particle.
        log_evidence: nats of the known values.

    References:
        Doucet, Godsill, Andrieu, "On sequential Monte Carlo sampling methods for Bayesian
        filtering", Statistics and Computing 10 (2000).
    """

    def __init__(
        self, sizes: CellSizes, knots: Array, asked: Linear, n_particles: int, seed: int
    ) -> None:
        self._sizes, self._knots, self._asked = sizes, knots, asked
        self._rng, self._generator = np.random.default_rng(seed), torch_generator(seed)
        self._told, order = asked.told, asked.order
        first, self._met = np.split(order, [len(self._told)])
        self._pivots = np.abs(asked.rows[first, np.arange(len(first))])
        self._rows, self._values = asked.rows[self._met], asked.values[self._met]
        self._beside = asked.beside[np.ix_(self._met, self._met)]
        self._last = asked.last[self._met]
        n = len(self._met)
        self.shift, self.spread = np.zeros((2, n_particles, asked.rows.shape[1]))
        self._log_w = np.zeros(n_particles)
        self._whitening = np.zeros((n_particles, n, n))
        self._white = np.zeros((n_particles, n))
        self.log_evidence = 0.0
        self._walk()

    def _walk(self) -> None:
        n, n_channels = len(self._log_w), len(self._sizes.lasting)
        self._lasting, self._passing = self._sizes.first(n, self._rng)
        place = 0
        for u in range(self.shift.shape[1]):
            j, c = divmod(u, n_channels)
            if c == 0 and j:
                gap = self._knots[j] - self._knots[j - 1]
                self._passing = self._sizes.moved(self._passing, gap, self._rng)
            if u < len(self._told):
                self._tell(u, c)
            elif place < len(self._last) and self._last[place] == u:
                self._meet(place, u, c)
                place += 1
                while place < len(self._last) and self._last[place] == u:
                    self._meet_again(place)
                    place += 1
            else:
                self._draw(u, c)
            if effective_size(torch.as_tensor(self._log_w)) < 0.5 * n:
                self._renew()
        self._renew()

    def _parts(self, c: int) -> tuple[Array, Array]:
        """Means and standard deviations (P, K) of an innovation of a channel."""
        size = np.exp(self._lasting[:, c] + self._passing[:, c])[:, None]
        return size * self._sizes.shifts[c], size * self._sizes.spreads

    def _tell(self, u: int, c: int) -> None:
        """A cell whose innovation is told by the values."""
        means, spreads = self._parts(c)
        density = self._sizes.log_parts(c) + _log_normal(self._told[u], means, spreads**2)
        self._log_w += np.logaddexp.reduce(density, axis=1) - np.log(self._pivots[u])
        self.shift[:, u] = self._told[u]

    def _draw(self, u: int, c: int) -> None:
        """A cell of which no value is known when it comes."""
        shares = np.broadcast_to(
            self._sizes.weights[c], (len(self._log_w), len(self._sizes.spreads))
        )
        self._choose(u, c, shares)

    def _choose(self, u: int, c: int, shares: Array) -> None:
        part = _one_of(shares, self._rng)
        means, spreads = self._parts(c)
        rows = np.arange(len(part))
        self.shift[:, u], self.spread[:, u] = means[rows, part], spreads[rows, part]

    def _meet(self, i: int, u: int, c: int) -> None:
        """A known value whose last cell is new: its part is drawn given the value."""
        mean, variance, reach = self._foretold(i)
        own = self._rows[i, u]
        means, spreads = self._parts(c)
        total = variance[:, None] + (own * spreads) ** 2
        density = self._sizes.log_parts(c) + _log_normal(
            self._values[i], mean[:, None] + own * means, total
        )
        top = np.logaddexp.reduce(density, axis=1)
        self._log_w += top
        self._choose(u, c, np.exp(density - top[:, None]))
        mean = mean + own * self.shift[:, u]
        self._factor(i, mean, variance + (own * self.spread[:, u]) ** 2, reach)

    def _meet_again(self, i: int) -> None:
        """A known value of cells that have come."""
        mean, variance, reach = self._foretold(i)
        self._log_w += _log_normal(self._values[i], mean, variance)
        self._factor(i, mean, variance, reach)

    def _foretold(self, i: int) -> tuple[Array, Array, Array]:
        """Mean and variance (P,) of a value given those before, and its reach (P, i) into them."""
        row, square = self._rows[i], self.spread**2
        cross = (square * row) @ self._rows[:i].T + self._beside[i, :i]
        reach = (self._whitening[:, :i, :i] @ cross[..., None])[..., 0]
        mean = self.shift @ row + (reach * self._white[:, :i]).sum(axis=1)
        variance = square @ row**2 + self._beside[i, i] - (reach**2).sum(axis=1)
        return mean, np.maximum(variance, _LEAST), reach

    def _factor(self, i: int, mean: Array, variance: Array, reach: Array) -> None:
        """One more row of the inverse Cholesky factor of the known values."""
        sd = np.sqrt(variance)
        self._white[:, i] = (self._values[i] - mean) / sd
        before = (reach[:, None] @ self._whitening[:, :i, :i])[:, 0]
        self._whitening[:, i, :i] = -before / sd[:, None]
        self._whitening[:, i, i] = 1 / sd

    def _renew(self) -> None:
        """Draw particles anew by their weights."""
        rows = systematic(torch.as_tensor(self._log_w), self._generator).numpy()
        n = len(self._log_w)
        self.log_evidence += float(np.logaddexp.reduce(self._log_w) - np.log(n))
        self._log_w = np.zeros(n)
        self._lasting, self._passing = self._lasting[rows], self._passing[rows]
        self.shift, self.spread = self.shift[rows], self.spread[rows]
        self._whitening, self._white = self._whitening[rows], self._white[rows]

    def drawn(self, n: int) -> Array:
        """Draws (n, m) of all values given those that are known; particles are used in turn."""
        asked, rng = self._asked, self._rng
        chosen = np.resize(rng.permutation(len(self._log_w)), n)
        spread = self.spread[chosen]
        z = self.shift[chosen] + spread * rng.standard_normal(spread.shape)
        e = normals(n, asked.beside, rng)
        missed = self._values - z @ self._rows.T - e[:, self._met]
        whitening = self._whitening[chosen]
        back = whitening.swapaxes(1, 2) @ (whitening @ missed[..., None])
        z += spread**2 * (back[..., 0] @ self._rows)
        e += back[..., 0] @ asked.beside[self._met]
        return np.asarray(np.where(asked.known, asked.values, z @ asked.rows.T + e))


def _log_normal(x: Array | float, mean: Array, variance: Array) -> Array:
    return np.asarray(-0.5 * ((x - mean) ** 2 / variance + np.log(variance) + _LOG_TWO_PI))


def _one_of(shares: Array, rng: np.random.Generator) -> Array:
    """One column (P,) of every row of shares (P, K), by its share."""
    heights = shares.cumsum(axis=1)
    aimed = rng.random(len(shares)) * heights[:, -1]
    return np.asarray((heights < aimed[:, None]).sum(axis=1).clip(max=shares.shape[1] - 1))
