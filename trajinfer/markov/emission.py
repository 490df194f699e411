"""Observation models: labels that may be wrong, and a measurement with Gaussian scatter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array, as_array, require_finite
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.markov.simulate import as_emission


@packable
@dataclass(frozen=True, eq=False)
class LabelNoise:
    """Probabilities of the label o in state s.

    Args:
        matrix: (S, S), rows summing to 1; where `learn`, the start, and its zeros stay zero.
        learn: whether to estimate it.

    A single probability of a wrong label, shared by all states, is `label_noise="learn"`.
    """

    matrix: Any
    learn: bool = False

    def __post_init__(self) -> None:
        matrix = as_array(self.matrix, "label_noise", ndim=2)
        as_emission(matrix, len(matrix))
        object.__setattr__(self, "matrix", matrix)


@packable
@dataclass(frozen=True, eq=False)
class GaussianEmission:
    """A real signal N(mean_s, std_s^2) in state s; NaN marks a state that sends no signal.

    Args:
        means: (S,) one per state.
        stds: (S,) positive.
        learn: whether to estimate both, from the values given as a start.
    """

    means: Any
    stds: Any
    learn: bool = True

    def __post_init__(self) -> None:
        means, stds = as_array(self.means, "means", ndim=1), as_array(self.stds, "stds", ndim=1)
        silent = np.isnan(means)
        require_finite(means[~silent], "means")
        if means.shape != stds.shape or not (stds[~silent] > 0).all():
            raise InputError(f"stds must be {len(means)} positive numbers, got {stds.tolist()}")
        object.__setattr__(self, "means", means)
        object.__setattr__(self, "stds", stds)

    def log_density(self, signal: Array) -> Array:
        """(n, S) log-densities, 0 where the signal is NaN, -inf in states that send none."""
        measured = np.isfinite(signal)[:, None]
        z = (np.where(measured, signal[:, None], 0.0) - self.means) / self.stds
        value = -0.5 * z**2 - np.log(self.stds * np.sqrt(2 * np.pi))
        return np.where(measured, np.where(np.isnan(self.means), -np.inf, value), 0.0)


@packable
@dataclass(frozen=True, eq=False)
class EmissionModel:
    """The observations of the states: labels, wrong with `error` or by `labels`, and a signal.

    Several states may show one label, as the phases of a state do: of P states and S labels the
    code of a label is the first state that shows it.

    Attributes:
        n_states: P.
        error: probability of a wrong label, uniform over the S - 1 wrong ones; None if `labels`.
        labels: (S, S) label probabilities.
        gaussian: of the signal.
        learn_error: whether `error` is estimated.
        learn_labels: whether `labels` is estimated.
        owner: (P,) the label that each state shows, in order; None if each shows its own.
    """

    n_states: int
    error: float | None = 0.0
    labels: Array | None = None
    gaussian: GaussianEmission | None = None
    learn_error: bool = False
    learn_labels: bool = False
    owner: Array | None = None

    @property
    def n_labels(self) -> int:
        """S."""
        return self.n_states if self.owner is None else int(self.owner[-1]) + 1

    @property
    def learned(self) -> bool:
        """Whether anything here is estimated."""
        gaussian = self.gaussian is not None and self.gaussian.learn
        return self.learn_error or self.learn_labels or gaussian

    @property
    def noiseless(self) -> bool:
        """Whether labels are always right and not estimated."""
        return self.labels is None and self.error == 0 and not self.learn_error

    @property
    def n_parameters(self) -> int:
        """Number of parameters that are estimated."""
        n = int(self.learn_error)
        if self.learn_labels and self.labels is not None:
            n += int((self.labels > 0).sum()) - self.n_labels
        if self.gaussian is not None and self.gaussian.learn:
            n += 2 * int(np.isfinite(self.gaussian.means).sum())
        return n

    def label_table(self) -> Array:
        """(S, S) probabilities of the label in the column where the one in the row is right."""
        if self.labels is not None:
            return self.labels
        matrix = as_emission(self.error, self.n_labels)
        return np.eye(self.n_labels) if matrix is None else matrix

    def label_matrix(self) -> Array:
        """(P, P) probabilities of the code of a label (column) in a state (row)."""
        table = self.label_table()
        if self.owner is None:
            return table
        matrix = np.zeros((self.n_states, self.n_states))
        matrix[:, self._first] = table[self.owner]
        return matrix

    def log_density(self, signal: Array) -> Array:
        """(n, P) log-densities of a signal; 0 where there is none."""
        if self.gaussian is None:
            return np.zeros((len(signal), self.n_states))
        density = self.gaussian.log_density(signal)
        return density if self.owner is None else density[:, self.owner]

    def pooled(self, sums: Array) -> Array:
        """Sums (..., S) over the states of every label, from those of the states (..., P)."""
        return sums if self.owner is None else np.add.reduceat(sums, self._first, axis=-1)

    @property
    def _first(self) -> Array:
        """(S,) the first state that shows each label."""
        owner = np.arange(self.n_states) if self.owner is None else self.owner
        return np.asarray(np.searchsorted(owner, np.arange(self.n_labels)))

    def updated(self, counts: Array, moments: Array | None) -> EmissionModel:
        """The M-step: expected (state, label) counts (S, S), moments (3, S) of the signal."""
        new = self
        if self.learn_error:
            wrong = counts.sum() - np.trace(counts)
            error = wrong / max(float(counts.sum()), 1e-300)
            new = replace(new, error=float(np.clip(error, 1e-12, 0.999)))
        if self.learn_labels:
            rows = counts.sum(axis=1, keepdims=True)
            shares = counts / np.maximum(rows, 1e-300)
            new = replace(new, labels=np.asarray(np.where(rows > 0, shares, self.labels)))
        if self.gaussian is not None and self.gaussian.learn and moments is not None:
            new = replace(new, gaussian=_updated_gaussian(self.gaussian, moments))
        return new


def _updated_gaussian(old: GaussianEmission, moments: Array) -> GaussianEmission:
    weight, first, second = moments
    visited = weight > 1e-8
    safe = np.where(visited, weight, 1.0)
    mean = np.where(visited, first / safe, old.means)
    variance = np.where(visited, second / safe - mean**2, old.stds**2)
    floor = 1e-6 * float(np.nanmax(old.stds)) ** 2
    return GaussianEmission(mean, np.sqrt(np.maximum(variance, floor)), learn=True)


def logistic(x: float) -> float:
    """1 / (1 + exp(-x))."""
    return float(1 / (1 + np.exp(-np.clip(x, -40, 40))))


def logit(probability: float) -> float:
    """The x with logistic(x) = probability."""
    return float(np.log(probability) - np.log1p(-probability))
