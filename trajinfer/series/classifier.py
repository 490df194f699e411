"""Classification of irregular series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.words import renamed, renamed_settings
from trajinfer.data import IrregularSeries
from trajinfer.data.input import as_series, series_to_learn
from trajinfer.data.written_predictions import require_no_times, written_predictions
from trajinfer.series.format_1 import series_estimator_of
from trajinfer.series.labelled_estimator import LabelledEstimator
from trajinfer.series.labelled_task import LabelledTask
from trajinfer.series.labels import class_labels, series_weights
from trajinfer.series.mixture_model import SeriesMixture, alone
from trajinfer.series.objective import TrainingPass
from trajinfer.series.series_model import SeriesModel, compacted
from trajinfer.series.series_rows import SeriesRows


@packable
@dataclass(frozen=True, eq=False)
class ClassModel:
    """A fitted classifier.

    Attributes:
        mixture: of networks and other experts.
        classes: (K,) sorted.
        frequencies: (K,) of the classes in training.
    """

    mixture: SeriesMixture
    classes: Array
    frequencies: Array

    @property
    def series(self) -> SeriesModel:
        """The first network and its inputs."""
        return self.mixture.members[0]


@dataclass(frozen=True)
class Classification(LabelledTask):
    """Cross-entropy of the classes of series; in training, of labels that are smoothed."""

    def losses(self, law: Any, target: Tensor) -> Tensor:
        """Minus log-probabilities of the classes."""
        lost: Tensor = -law.log_prob(target.to(law.logits.device))
        return lost

    def training_losses(self, law: Any, target: Tensor) -> Tensor:
        """Cross-entropy with a twentieth of every label spread over the classes."""
        return nn.functional.cross_entropy(
            law.logits, target.to(law.logits.device), label_smoothing=0.05, reduction="none"
        )

    def answer(self, law: Any) -> Tensor:
        """Probabilities of the classes."""
        found: Tensor = law.probs.detach()
        return found


@renamed_settings(noise="stochastic")
@dataclass(eq=False, repr=False)
class NeuralSDEClassifier(ClassifierMixin, LabelledEstimator):  # type: ignore[misc]
    r"""Classes of series with times and holes of their own.

    A latent state is driven along each series, $dz = f(t, z, X(t))\,dt + g(t, z)\,dW$, and a
    network of its last value and its mean over time gives the logits. Probabilities are averaged
    over paths of the noise. Cheap experts stand beside it: ridge and Gaussian-kernel ridge on
    summaries and straight lines, ridge on convolutions, boosted trees on summaries. The answer is
    the mixture that is best on held-out series; `shares_` tells what each has in it.

    Args:
        dynamics: "langevin", "linear_noise", "geometric"; or a baseline: "free" (naive neural SDE),
            "ode", "cde", "latent_sde", "gru", "ode_rnn".
        parameterization: "pure", or "clipped" for the field of the published code.
        hidden: H, latent channels; a sequence goes on with the widths of the drift's hidden layers.
        layers: number of hidden layers of the drift, H wide; without effect beside a sequence.
        interpolation: scheme of the control path.
        control: whether the drift sees the path; None: all do but "free" and "ode".
        stochastic: False takes the noise out.
        step: largest step in the unit of time of the data; None: 1/20 of the median span, 1/40 for
            a network alone.
        n_samples: noise paths per series for predictions.
        experts: names among "linear", "kernel", "convolutions", "boosting"; None takes all, ()
            leaves the network alone.
        max_epochs: bound on the passes over the data; None: as many as make 120 steps, but no more
            than a quarter or half of them where held-out series say that the networks bring nothing
            by then; 200 for a network alone.
        batch_size: series per step of training.
        lr: largest learning rate (AdamW, cosine).
        weight_decay: of the matrices.
        thinning: in training, a random share up to this of the observations of a series is hidden.
        kl_weight: weight of the divergence from the prior, for "latent_sde".
        validation: share of the series held out at a time: 1/3 makes three folds, each with a
            network that does not see it, five at most. 0, or fewer than 12 series, leave one
            network alone. A network alone keeps this share for early stopping, with fewer than 200
            series none, and then training runs through.
        patience: validations without a better one before training stops.
        regularization: penalty on what the steps of the solver cost.
        callbacks: of `trajinfer.training`, such as `Checkpoint`.
        checkpoint: folder in which the work is kept as it is done: a fit that was killed goes on
            from there when it is called again; see docs/scale.md.
        random_state: seed.
        device: None or "cpu"; "auto", "cuda" and the like, where networks are trained and answer.
        verbose: 1 shows a progress bar, 2 logs every epoch.

    Attributes:
        classes_: the classes, sorted.
        shares_: share of every expert in the answer.
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

    accepts = replace(LabelledEstimator.accepts, alone=False)  # two classes are two series

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
        data = compacted(series_to_learn(X))
        labels = class_labels(data.labels if y is None else y, len(data))
        classes, codes = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            only = classes.tolist()[0]
            raise InputError(f"two classes at least are needed, got one class only: {only!r}")
        weights = series_weights(sample_weight, len(data))

        def task(passes: TrainingPass, rows: SeriesRows, held: Tensor) -> Classification:
            return Classification(
                passes, rows, torch.as_tensor(codes), torch.as_tensor(weights), held
            )

        mixture, report, seed = self._fit_mixture(data, codes, weights, len(classes), task)
        frequencies = np.bincount(codes, weights) / len(codes)
        self.model_ = ClassModel(mixture, classes, frequencies)
        self._keep_features(data)
        self._conclude_training(report, seed)
        return self

    @property
    def classes_(self) -> Array:
        """The classes, sorted."""
        return self.model_.classes

    def _mixture(self) -> SeriesMixture:
        return self.model_.mixture

    @renamed(series="X")
    def predict_proba(
        self, X: Any, ts: Any = None, *, out: str | Path | None = None
    ) -> Array | Path:
        """Probabilities of the classes, averaged over paths of the noise.

        Args:
            X: B series.
            ts: times, one row for all series or one each; None: after the last observation.
            out: as for `predict`, which writes the probabilities as well.

        Returns:
            (B, K), or (B, T, K) of what was known at the times: nothing that comes later counts,
            and before the first observation stand the frequencies of training. The mixture was
            fitted to whole series. The folder where there is an `out`.
        """
        check_is_fitted(self)
        if out is not None:
            return self._written(X, ts, out)
        return self._probabilities(X, ts)

    @renamed(series="X")
    def predict(self, X: Any, ts: Any = None, *, out: str | Path | None = None) -> Array | Path:
        """The most probable class of every series, (B,), or (B, T) of what was known at times.

        Args:
            X: B series.
            ts: as for `predict_proba`.
            out: folder to write tables to (id, predicted, and the probability
                of every class, in parquet), some series at a time as the
                memory of an open table allows; a call that was killed goes on. It takes no ts.
        """
        check_is_fitted(self)
        return self._likeliest(X, ts) if out is None else self._written(X, ts, out)

    def _written(self, X: Any, ts: Any, out: str | Path) -> Path:
        require_no_times(ts)
        return written_predictions(out, X, self.model_, {"ts": None}, self._table)

    def _probabilities(self, X: Any, ts: Any = None) -> Array:
        return self._answers(self.model_.series.series(X), ts, self.model_.frequencies)

    def _likeliest(self, X: Any, ts: Any = None) -> Array:
        best = self._probabilities(X, ts).argmax(-1)
        return np.asarray(self.classes_[best])

    def _table(self, series: IrregularSeries, ts: None) -> pd.DataFrame:
        shares = self._probabilities(series)
        best = self.classes_[shares.argmax(-1)]
        each = {f"probability of {c}": shares[:, k] for k, c in enumerate(self.classes_)}
        return pd.DataFrame({"id": list(series.ids), "predicted": best, **each})

    @renamed(series="X")
    def score(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> float:
        """Accuracy: the share of series whose class is the most probable one, in [0, 1]."""
        predicted = self._likeliest(X)
        labels = class_labels(as_series(X).labels if y is None else y, len(predicted))
        weights = series_weights(sample_weight, len(predicted))
        return float(((predicted == labels) * weights).mean())

    @classmethod
    def _from_format_1(cls, config: dict[str, Any], tensors: dict[str, Tensor]) -> Self:
        """The classifier that version 0.1 wrote."""
        estimator, series = series_estimator_of(cls, config, tensors, "class")
        classes = np.array(config["learned"]["classes"])
        frequencies = np.full(len(classes), 1 / len(classes))
        estimator.model_ = ClassModel(alone(series, len(classes)), classes, frequencies)
        return estimator
