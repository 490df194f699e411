"""Classification of irregular series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import ClassifierMixin
from torch import Tensor, nn

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, spawn
from trajinfer.data.input import as_series
from trajinfer.series.heads import PooledHead
from trajinfer.series.series_estimator import SeriesEstimator, compacted
from trajinfer.training import Loss


@dataclass(eq=False, repr=False)
class NeuralSDEClassifier(ClassifierMixin, SeriesEstimator):  # type: ignore[misc]
    r"""Classes of series with times and holes of their own.

    A latent state is driven along each series, $dz = f(t, z, X(t))\,dt + g(t, z)\,dW$, and a
    network of its last value and its mean over time gives the logits. Probabilities are averaged
    over paths of the noise.

    Args:
        dynamics: "langevin", "linear_noise", "geometric"; or a baseline: "free" (naive neural SDE),
            "ode", "cde", "latent_sde", "gru", "ode_rnn".
        parameterization: "pure", or "clipped" for the field of the published code.
        hidden: H, latent channels.
        layers: hidden layers of the drift.
        interpolation: scheme of the control path.
        control: whether the drift sees the path; None: all do but "free" and "ode".
        noise: False takes the noise out.
        step: largest step in the unit of time of the data; None: 1/40 of the median span.
        n_samples: noise paths per series for predictions.
        max_epochs: bound on the passes over the data.
        batch_size: series per step of training.
        lr: largest learning rate (AdamW, cosine).
        weight_decay: of the matrices.
        thinning: in training, a random share up to this of the observations of a series is hidden.
        kl_weight: weight of the divergence from the prior, for "latent_sde".
        validation: share of the series kept for early stopping; with fewer than 200 none is, and
            training runs through.
        patience: validations without a better one before training stops.
        regularization: penalty on what the steps of the solver cost.
        callbacks: of `trajinfer.training`, such as `Checkpoint`.
        random_state: seed.
        device: None or "cpu".
        verbose: 1 shows a progress bar, 2 logs every epoch.

    Attributes:
        classes_: the classes, sorted.
        network_: encoder and head.
        scaling_: how data become inputs.
        history_: a record per epoch.

    References:
        Oh, Lim and Kim, ICLR 2024, arXiv 2402.14989.
    """

    def fit(self, series: Any, y: Any = None) -> Self:
        """Fit.

        Args:
            series: an `IrregularSeries`, or what `as_series` takes.
            y: (B,) classes; None takes the labels of the series.

        Raises:
            InputError: for series, labels or settings that cannot be used.
        """
        self._check_settings()
        data = compacted(as_series(series))
        labels = _labels(data.labels if y is None else y, len(data))
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(
                f"two classes at least are needed, got one class only: {self.classes_[0]!r}"
            )
        batch = self._fit_scaling(data)
        target = torch.as_tensor(codes)
        kept, held = self._split(np.arange(len(data)))

        def objective(index: Tensor, step: int) -> Loss:
            encoding = self._encode(batch.rows(index).thinned(self.thinning), step)
            logits = self.network_.head(encoding)
            loss = nn.functional.cross_entropy(logits, target[index], label_smoothing=0.05)
            return self._with_penalties(loss, encoding, step)

        rows = torch.as_tensor(held)

        def validate() -> float:
            logits = self.network_.head(self._encode(batch.rows(rows)))
            return float(nn.functional.cross_entropy(logits, target[rows]))

        self._train(objective, kept, validate if len(held) else None)
        return self

    def predict_proba(self, series: Any, *, random_state: RandomState = None) -> Array:
        """Probabilities (B, K) of the classes, averaged over paths of the noise."""
        self._check_fitted()
        data = compacted(as_series(series).on_axis(self.axis_))
        self.scaling_.require(data)
        seed = spawn(self.seed_, 5)[4] if random_state is None else seed_from(random_state)
        logits = self._scores_over_paths(
            self.network_.head, self.scaling_.batch(data), self.n_samples, seed
        )
        return logits.softmax(-1).mean(0).double().numpy()

    def predict(self, series: Any, *, random_state: RandomState = None) -> Array:
        """The most probable class of every series, (B,)."""
        best = self.predict_proba(series, random_state=random_state).argmax(1)
        return np.asarray(self.classes_[best])

    def score(self, series: Any, y: Any = None) -> float:
        """Share of series whose class is found."""
        labels = as_series(series).labels if y is None else y
        found = self.predict(series)
        return float((found == _labels(labels, len(found))).mean())

    def _head(self) -> nn.Module:
        return PooledHead(self.hidden, len(self.classes_))

    def _learned(self) -> dict[str, Any]:
        return {"classes": self.classes_.tolist()}

    def _set_learned(self, learned: dict[str, Any]) -> None:
        self.classes_ = np.array(learned["classes"])
        self.n_features_in_ = self.shape_["n_channels"]


def _labels(labels: Any, n: int) -> Array:
    if labels is None:
        raise InputError("no labels: give y, or an IrregularSeries with labels=")
    array = np.asarray(labels)
    if array.shape != (n,):
        raise InputError(f"labels must be (B,) = ({n},), one per series, got {array.shape}")
    # numpy makes the text "nan" of a NaN in a list of names
    given = labels if isinstance(labels, (list, tuple)) else array
    if pd.Series(list(given), dtype=object).isna().any():
        raise InputError("a label is NaN; leave such series out, or give them a class")
    if array.dtype.kind in "mM":
        raise InputError(
            f"classes must be names or numbers, got {array.dtype}; try labels.astype(str)"
        )
    if array.dtype.kind == "O" and len({isinstance(label, str) for label in array}) > 1:
        raise InputError("the labels mix text and numbers; make them all of one kind")
    return array
