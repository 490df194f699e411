"""Shares of positive values of dilated convolutions with fixed kernels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.data import IrregularSeries
from trajinfer.data.grouping import in_groups
from trajinfer.data.scaling import Standardisation
from trajinfer.series.experts.resampling import resampled, shared_window

_TAPS, _SHORTEST = 9, 9
_TRIPLES = np.array(list(combinations(range(_TAPS), 3)))  # the 84 kernels: 2 here, -1 elsewhere
_WEIGHTS = np.where((_TRIPLES[:, :, None] == np.arange(_TAPS)).any(1), 2.0, -1.0)
_MOST_NUMBERS = 2**20
_TIE = 1e-9  # a response that equals its level, but for rounding, lies not above it
_GOLDEN = (np.sqrt(5) + 1) / 2


@packable
@dataclass(frozen=True, eq=False)
class Convolutions:
    """Features of series that are filled by straight lines onto a grid.

    Attributes:
        grid: number of points of the grid.
        scaling: of the channels.
        dilations: (D,) of the kernels.
        channels: D arrays (84, C) of zeros and ones: the channels that each kernel adds up.
        biases: D arrays (84, n) of levels.
        window: the span of the grid; None: that of each series.

    References:
        Dempster, Schmidt and Webb, MiniRocket, KDD 2021.
    """

    grid: int
    scaling: Standardisation
    dilations: Array
    channels: list[Array]
    biases: list[Array]
    window: tuple[float, float] | None = None

    @classmethod
    def of(cls, series: IrregularSeries, n_features: int, seed: int) -> Self:
        """Levels from quantiles of the responses of training series.

        Args:
            series: the training series; the longest one sets the grid, up to twice the mean length.
            n_features: about how many features.
            seed: of the series that set the levels and of the channels combined.
        """
        rng = np.random.default_rng(seed)
        grid = min(int(series.lengths.max()), round(2 * float(series.lengths.mean())))
        grid = max(grid, _SHORTEST)
        window = shared_window(series)
        values = in_groups(series, lambda part: resampled(part, grid, window))
        scaling = Standardisation.of(values)
        values = scaling.apply(values)
        dilations, counts = _dilations(grid, n_features // len(_TRIPLES))
        channels, levels = [], []
        start = 0
        for dilation, count in zip(dilations, counts):
            mixing = _channel_subsets(values.shape[2], rng)
            shares = (np.arange(start, start + count * len(_TRIPLES)) + 1) * _GOLDEN % 1
            start += count * len(_TRIPLES)
            rows = values[rng.integers(len(values), size=len(_TRIPLES))]
            own = _responses(np.einsum("jtc,jc->jt", rows, mixing)[:, None], dilation)[:, 0]
            quantiles = shares.reshape(len(_TRIPLES), count)
            channels.append(mixing)
            levels.append(np.array([np.quantile(r, q) + _TIE for r, q in zip(own, quantiles)]))
        return cls(grid, scaling, dilations, channels, levels, window)

    def __call__(self, series: IrregularSeries) -> Array:
        """(B, F) shares in [0, 1]."""
        values = in_groups(series, lambda part: resampled(part, self.grid, self.window))
        values = self.scaling.apply(values)
        size = max(1, min(64, _MOST_NUMBERS // (len(_TRIPLES) * self.grid)))
        chunks = np.array_split(values, -(-len(values) // size))
        return np.concatenate([self._shares(chunk) for chunk in chunks])

    def _shares(self, values: Array) -> Array:
        blocks = []
        for k, (dilation, mixing, biases) in enumerate(
            zip(self.dilations, self.channels, self.biases)
        ):
            mixed = np.einsum("btc,jc->jbt", values, mixing)
            response = np.moveaxis(_responses(mixed, dilation), 0, 1)
            margin = dilation * (_TAPS // 2)
            inner = response[:, :, margin:-margin] if 2 * margin < self.grid else response
            padded = (np.arange(len(_TRIPLES)) + k) % 2 == 0  # half of the kernels see the ends
            for count in range(biases.shape[1]):
                level = biases[:, count, None]
                whole = (response[:, padded] > level[padded]).mean(axis=2)
                part = (inner[:, ~padded] > level[~padded]).mean(axis=2)
                blocks += [whole, part]
        return np.concatenate(blocks, axis=1)


def _dilations(length: int, per_kernel: int) -> tuple[Array, Array]:
    """Dilations spread exponentially up to the length, and the number of features of each."""
    kept = min(max(per_kernel, 1), 32)
    exponents = np.linspace(0, np.log2((length - 1) / (_TAPS - 1)), kept)
    dilations, counts = np.unique((2**exponents).astype(int), return_counts=True)
    counts = (counts * (per_kernel / kept)).astype(int)
    counts[np.arange(max(per_kernel - counts.sum(), 0)) % len(counts)] += 1
    return dilations, np.maximum(counts, 1)


def _channel_subsets(n_channels: int, rng: np.random.Generator) -> Array:
    """(84, C) zeros and ones: which channels each kernel adds up; about 2^U of them."""
    most = min(n_channels, _TAPS)
    sizes = (2 ** (rng.random(len(_TRIPLES)) * np.log2(most + 1))).astype(int)
    ranks = rng.random((len(_TRIPLES), n_channels)).argsort(axis=1).argsort(axis=1)
    return np.asarray(ranks < np.maximum(sizes, 1)[:, None], dtype=float)


def _responses(mixed: Array, dilation: int) -> Array:
    """(84, B, T) responses, zero-padded, to what each kernel sees, (84, B, T)."""
    length, margin = mixed.shape[2], dilation * (_TAPS // 2)
    padded = np.pad(mixed, ((0, 0), (0, 0), (margin, margin)))
    result = np.zeros_like(mixed)
    for weights, k in zip(_WEIGHTS.T, range(_TAPS)):
        result += weights[:, None, None] * padded[:, :, k * dilation : k * dilation + length]
    return result
