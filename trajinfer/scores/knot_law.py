"""The law of series in closed form: mixtures of Gaussians at knots, lines between them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.diffusion.mixture import GaussianMixture
from trajinfer.scores.sized_law import SizedLaw
from trajinfer.scores.tails import Tails

_LEAST = 1e-4
_MOST_ENTRIES = 5000


@packable
@dataclass(frozen=True)
class KnotLaw:
    r"""Paths of C channels: values at J knots follow a mixture, lines lie between, noise is added.

    Outside the knots a path goes on as Brownian motion with the variance of its own steps.

    Attributes:
        mixture: of the J C values at the knots, knot after knot, in standard deviations.
        knots: (J,) rising times.
        noise: (C,) standard deviation of an observation around the path.
        rate: (C,) variance per unit of time outside the knots.
        tails: how far entries spread, given all others, in series that the law has not seen.
        sized: the law of series whose innovations have sizes, where they are likelier under it.
    """

    mixture: GaussianMixture
    knots: Array
    noise: Array
    rate: Array
    tails: Tails = field(default_factory=Tails)
    sized: SizedLaw | None = None

    @property
    def n_channels(self) -> int:
        """C."""
        return len(self.noise)

    def at(self, times: Array, channels: Array) -> tuple[Tensor, Tensor]:
        """Means (K, n) and covariances (K, n, n) of n entries, each a time and a channel.

        Entries must differ: each has a noise of its own.

        Raises:
            InputError: for more entries than one covariance is for.
        """
        reach, beside = map(torch.as_tensor, self.shares(times, channels))
        means = self.mixture.means @ reach.T
        covariances = reach @ self.mixture.covariances @ reach.T
        return means, covariances + beside

    def shares(self, times: Array, channels: Array) -> tuple[Array, Array]:
        """Shares (n, J C) of the values at the knots in n entries, covariance (n, n) of the rest.

        Raises:
            InputError: as `at`.
        """
        require_few(len(times))
        reach = reach_of(times, channels, self.knots, self.n_channels)
        return reach, self._beside(times, channels)

    def variance(self, channels: Array) -> Array:
        """(n,) of the noise of entries."""
        return np.asarray(np.maximum(self.noise[channels], _LEAST) ** 2)

    def entries(self, times: Array, channels: Array) -> GaussianMixture:
        """The law of n entries; see `at`."""
        return GaussianMixture(self.mixture.weights, *self.at(times, channels))

    def _beside(self, times: Array, channels: Array) -> Array:
        """(n, n) covariance of the noise, and of what is outside the knots."""
        same = channels[:, None] == channels
        extra = np.diag(self.variance(channels))
        for beyond in (times - self.knots[-1], self.knots[0] - times):
            far = np.maximum(beyond, 0.0)
            extra = extra + same * self.rate[channels] * np.minimum(far[:, None], far)
        return np.asarray(extra)


def require_few(n: int) -> None:
    """Refuse more entries of a series than one covariance is for.

    Raises:
        InputError: naming the number; a covariance costs its square in memory, its cube in time.
    """
    if n > _MOST_ENTRIES:
        raise InputError(
            f"{n} values and times of one series together, {_MOST_ENTRIES} are the most that have "
            "one law; ask for fewer times, or cut the series by trajinfer.data.Windows (--window)"
        )


def reach_of(times: Array, channels: Array, knots: Array, n_channels: int) -> Array:
    """(n, J C) shares of the values at the knots in the value of a line at n entries."""
    return np.asarray(sparse_reach(times, channels, knots, n_channels).toarray())


def sparse_reach(
    times: Array, channels: Array, knots: Array, n_channels: int
) -> sparse.csr_array[np.float64]:
    """The same without its zeros: two shares an entry."""
    places = np.interp(times, knots, np.arange(len(knots)))
    left = np.minimum(places.astype(int), max(len(knots) - 2, 0))
    share = places - left
    right = np.minimum(left + 1, len(knots) - 1)
    columns = np.stack([left, right], axis=1) * n_channels + channels[:, None]
    rows = np.repeat(np.arange(len(times)), 2)
    shares = np.stack([1 - share, share], axis=1).ravel()
    return sparse.csr_array(
        (shares, (rows, columns.ravel())), shape=(len(times), len(knots) * n_channels)
    )
