"""Classification of irregular series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.seeding import Seeds, seed_from
from trajinfer._core.words import renamed, renamed_settings
from trajinfer.data.input import as_series
from trajinfer.series.format_1 import series_estimator_of
from trajinfer.series.labels import class_labels, series_weights
from trajinfer.series.network import Shape
from trajinfer.series.objective import TrainingPass
from trajinfer.series.series_batch import Scaling, SeriesBatch
from trajinfer.series.series_estimator import SeriesEstimator, split
from trajinfer.series.series_model import SeriesModel, compacted
from trajinfer.training import Loss


@packable
@dataclass(frozen=True, eq=False)
class ClassModel:
    """A fitted classifier.

    Attributes:
        series: the network and its inputs.
        classes: (K,) sorted.
    """

    series: SeriesModel
    classes: Array

    def probabilities(self, X: Any) -> Array:
        """Probabilities (B, K), averaged over paths of the noise."""
        batch = self.series.scaling.batch(self.series.series(X))
        head = self.series.network.head
        logits = self.series.answers(batch, lambda encoding, _rows: head(encoding).logits)
        return np.asarray(logits.softmax(-1).mean(0).double().numpy())


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of the classes of series.

    Attributes:
        passes: through the network in training.
        batch: the series.
        codes: (B,) their classes.
        weights: (B,) of the series.
        held: rows kept for validation.
    """

    passes: TrainingPass
    batch: SeriesBatch
    codes: Tensor
    weights: Tensor
    held: Tensor

    def objective(self, index: Tensor, step: int) -> Loss:
        """Weighted cross-entropy with smoothed labels, of thinned series."""
        encoding = self.passes.encode(self.batch.rows(index).thinned(self.passes.thinning))
        logits = self.passes.network.head(encoding).logits
        losses = nn.functional.cross_entropy(
            logits, self.codes[index].to(logits.device), label_smoothing=0.05, reduction="none"
        )
        weighted = (losses * self.weights[index].to(losses)).mean()
        return self.passes.loss(weighted, encoding, step)

    def validate(self) -> float:
        """Cross-entropy of the series kept aside."""
        law = self.passes.network.head(self.passes.validation(self.batch.rows(self.held)))
        losses = -law.log_prob(self.codes[self.held].to(law.logits.device))
        weights = self.weights[self.held].to(losses)
        return float((losses * weights).sum() / weights.sum().clamp(min=1e-12))


@renamed_settings(noise="stochastic")
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
        hidden: H, latent channels; a sequence goes on with the widths of the drift's hidden layers.
        layers: number of hidden layers of the drift, H wide; without effect beside a sequence.
        interpolation: scheme of the control path.
        control: whether the drift sees the path; None: all do but "free" and "ode".
        stochastic: False takes the noise out.
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
        device: of torch, on which the network is trained; None: the CPU.
        verbose: 1 shows a progress bar, 2 logs every epoch.

    Attributes:
        classes_: the classes, sorted.
        model_: the fitted network with its scaling and seeds; `network_`, `scaling_`, `axis_` are
            parts of it.
        n_features_in_, feature_names_in_: the channels.
        n_iter_: epochs made.
        converged_: whether every step of the training had a finite loss and gradient.
        history_: a record per epoch.
        seed_: of the fit.

    References:
        Oh, Lim and Kim, ICLR 2024, arXiv 2402.14989.
    """

    @renamed(series="X")
    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Fit.

        Args:
            X: an `IrregularSeries`, or what `as_series` takes.
            y: (B,) classes; None takes the labels of the series.
            sample_weight: (B,) weights of the series in the loss.

        Raises:
            InputError: for series, labels or settings that cannot be used.
        """
        self._check_settings()
        data = compacted(as_series(X))
        labels = class_labels(data.labels if y is None else y, len(data))
        classes, codes = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise InputError(f"two classes at least are needed, got one class only: {classes[0]!r}")
        weights = torch.as_tensor(series_weights(sample_weight, len(data)))
        seed = seed_from(self.random_state)
        seeds = Seeds.of(seed)
        scaling = Scaling.on_one_axis(data)
        batch = scaling.batch(data)
        plan = self._plan(Shape.of(batch, self._scaled_step(scaling)), "class", n_out=len(classes))
        network = plan.build(seeds.weights)
        learned, held = split(np.arange(len(data)), self.validation, seeds.split)
        task = Classification(
            self._training_pass(network, seeds),
            batch,
            torch.as_tensor(codes),
            weights,
            torch.as_tensor(held),
        )
        report = self._recipe(seeds).fit(
            network, task.objective, learned, task.validate if len(held) else None
        )
        series = SeriesModel(network.cpu(), scaling, data.axis, seeds, self.n_samples)
        self.model_ = ClassModel(series, classes)
        self._keep_features(data)
        self._conclude_training(report, seed)
        return self

    @property
    def classes_(self) -> Array:
        """The classes, sorted."""
        return self.model_.classes

    @renamed(series="X")
    def predict_proba(self, X: Any) -> Array:
        """Probabilities (B, K) of the classes, averaged over paths of the noise."""
        check_is_fitted(self)
        return self.model_.probabilities(X)

    @renamed(series="X")
    def predict(self, X: Any) -> Array:
        """The most probable class of every series, (B,)."""
        best = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_[best])

    @renamed(series="X")
    def score(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> float:
        """Accuracy: the share of series whose class is the most probable one, in [0, 1]."""
        predicted = self.predict(X)
        labels = class_labels(as_series(X).labels if y is None else y, len(predicted))
        weights = series_weights(sample_weight, len(predicted))
        return float(((predicted == labels) * weights).mean())

    @classmethod
    def _from_format_1(cls, config: dict[str, Any], tensors: dict[str, Tensor]) -> Self:
        """The classifier that version 0.1 wrote."""
        estimator, series = series_estimator_of(cls, config, tensors, "class")
        estimator.model_ = ClassModel(series, np.array(config["learned"]["classes"]))
        return estimator
