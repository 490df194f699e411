"""Shares of positive convolutions with fixed kernels: fast and hard to beat on small sets."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trajinfer._core.checks import Array
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.data import IrregularSeries
from trajinfer.evaluation.series.interpolants import resampled

_TAPS, _SHORTEST = 9, 9
_TRIPLES = np.array(list(combinations(range(_TAPS), 3)))  # the 84 kernels: 2 here, -1 elsewhere
_GOLDEN = (np.sqrt(5) + 1) / 2


@dataclass(eq=False, repr=False)
class MiniRocket(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge classifier on shares of positive values of 84 dilated convolutions.

    Series are filled by straight lines onto a grid of the longest training length.

    Args:
        n_features: about how many features.
        random_state: of the series that set the biases and of the channels combined.

    References:
        Dempster, Schmidt and Webb, MiniRocket, KDD 2021.
    """

    _: KW_ONLY
    n_features: int = 9996
    random_state: RandomState = None

    def fit(self, series: IrregularSeries, y: Any) -> MiniRocket:
        """Set the biases from the training series and fit the classifier."""
        self.grid_ = max(int(series.lengths.max()), _SHORTEST)
        values = resampled(series, self.grid_)
        self.mean_, self.scale_ = values.mean((0, 1)), values.std((0, 1)) + 1e-12
        values = (values - self.mean_) / self.scale_
        self._draw(values, np.random.default_rng(seed_from(self.random_state)))
        classifier = RidgeClassifierCV(alphas=np.logspace(-3, 3, 10))
        self.model_ = make_pipeline(StandardScaler(), classifier)
        self.model_.fit(self._features(values), np.asarray(y))
        self.classes_ = self.model_.classes_
        return self

    def predict(self, series: IrregularSeries) -> Array:
        """(B,) labels."""
        values = (resampled(series, self.grid_) - self.mean_) / self.scale_
        return np.asarray(self.model_.predict(self._features(values)))

    def _draw(self, values: Array, rng: np.random.Generator) -> None:
        dilations, counts = _dilations(self.grid_, self.n_features // len(_TRIPLES))
        self.dilations_ = dilations
        self.channels_, self.biases_ = [], []
        start = 0
        for dilation, count in zip(dilations, counts):
            mixing = _channel_subsets(values.shape[2], rng)
            levels = (np.arange(start, start + count * len(_TRIPLES)) + 1) * _GOLDEN % 1
            start += count * len(_TRIPLES)
            rows = values[rng.integers(len(values), size=len(_TRIPLES))]
            responses = _convolved(rows, dilation, mixing)
            own = responses[np.arange(len(_TRIPLES)), np.arange(len(_TRIPLES))]
            quantiles = levels.reshape(len(_TRIPLES), count)
            biases = [np.quantile(r, q) for r, q in zip(own, quantiles)]
            self.channels_.append(mixing)
            self.biases_.append(np.array(biases))

    def _features(self, values: Array) -> Array:
        chunks = np.array_split(values, -(-len(values) // 64))
        return np.concatenate([self._shares(chunk) for chunk in chunks])

    def _shares(self, values: Array) -> Array:
        blocks = []
        for k, (dilation, mixing, biases) in enumerate(
            zip(self.dilations_, self.channels_, self.biases_)
        ):
            response = _convolved(values, dilation, mixing)
            margin = dilation * (_TAPS // 2)
            inner = response[:, :, margin:-margin] if 2 * margin < self.grid_ else response
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


def _convolved(values: Array, dilation: int, mixing: Array) -> Array:
    """(B, 84, T) responses of all kernels, zero-padded, to values (B, T, C)."""
    length, margin = values.shape[1], dilation * (_TAPS // 2)
    padded = np.pad(values, ((0, 0), (margin, margin), (0, 0)))
    taps = np.stack([padded[:, k * dilation : k * dilation + length] for k in range(_TAPS)])
    mixed = np.einsum("kbtc,jc->kbjt", taps, mixing)
    chosen = mixed[_TRIPLES.T, :, np.arange(len(_TRIPLES))].sum(axis=0)  # (84, B, T)
    return np.asarray(3 * np.moveaxis(chosen, 0, 1) - mixed.sum(axis=0))
