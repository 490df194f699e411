"""What the estimators of irregular series share: settings, training, archives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from trajinfer._core.archive import save_archive
from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, seeded, spawn
from trajinfer.data import IrregularSeries, TimeAxis
from trajinfer.paths import Interpolation
from trajinfer.sde import SolverRegularization
from trajinfer.series.by_name import WITHOUT_CONTROL, Parameterization, make_dynamics
from trajinfer.series.controls import Controls, typical_slope
from trajinfer.series.encoder import Encoder, Encoding, RecurrentEncoder, SDEEncoder
from trajinfer.series.series_batch import Scaling, SeriesBatch
from trajinfer.training import Callback, Loss, Recipe, matrices_decay

Dynamics = Literal[
    "langevin", "linear_noise", "geometric", "free", "ode", "cde", "latent_sde", "gru", "ode_rnn"
]
RECURRENT = ("gru", "ode_rnn")
NOISELESS = ("ode", "cde", *RECURRENT)
_FEWEST_TO_VALIDATE = 200
_STEPS_PER_SPAN = 40


class Network(nn.Module):
    """An encoder, and a head that reads it."""

    def __init__(self, encoder: Encoder, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head


@dataclass(eq=False, repr=False)
class SeriesEstimator(BaseEstimator, ABC):  # type: ignore[misc]
    """Settings and training common to the estimators of irregular series; not for direct use."""

    dynamics: Dynamics = "langevin"
    _: KW_ONLY
    parameterization: Parameterization = "pure"
    hidden: int = 32
    layers: int = 2
    interpolation: Interpolation = "hermite"
    control: bool | None = None
    noise: bool = True
    step: float | None = None
    n_samples: int = 16
    max_epochs: int = 200
    batch_size: int = 128
    lr: float = 3e-3
    weight_decay: float = 1e-3
    thinning: float = 0.3
    kl_weight: float = 1e-3
    validation: float = 0.15
    patience: int | None = 30
    regularization: SolverRegularization | None = None
    callbacks: Sequence[Callback] = ()
    random_state: RandomState = None
    device: str | None = None
    verbose: int = 0

    def save(self, path: str | Path) -> Path:
        """Write the fitted estimator to a folder that `trajinfer.load` reads.

        Callbacks and the penalty on solver steps belong to training and are not kept.
        """
        self._check_fitted()
        settings = self.get_params(deep=False) | {"callbacks": (), "regularization": None}
        settings["random_state"] = self.seed_
        config = {
            "estimator": type(self).__name__,
            "settings": {name: _plain(value) for name, value in settings.items()},
            "shape": self.shape_,
            "scaling": self.scaling_.to_json(),
            "axis": self.axis_.to_config(),
            "learned": self._learned(),
        }
        return save_archive(path, config, self.network_.state_dict())

    @classmethod
    def _from_archive(cls, config: dict[str, Any], tensors: dict[str, Tensor]) -> Self:
        """The estimator that `save` wrote."""
        estimator = cls(**config["settings"])
        estimator.seed_ = int(config["settings"]["random_state"])
        estimator.shape_ = config["shape"]
        estimator.scaling_ = Scaling.from_json(config["scaling"])
        estimator.axis_ = TimeAxis.from_config(config["axis"])
        estimator._set_learned(config["learned"])
        estimator.network_ = estimator._network(0)
        estimator.network_.load_state_dict(tensors)
        estimator.network_.eval()
        return estimator

    @abstractmethod
    def _head(self) -> nn.Module:
        """The head, for the shape of the data."""

    @abstractmethod
    def _learned(self) -> dict[str, Any]:
        """What was learned beside the network, as JSON holds it."""

    @abstractmethod
    def _set_learned(self, learned: dict[str, Any]) -> None:
        """Take back what `_learned` gave."""

    @property
    def is_noisy(self) -> bool:
        """Whether predictions depend on paths of noise."""
        return self.noise and self.dynamics not in NOISELESS

    def _check_fitted(self) -> None:
        check_is_fitted(self, "network_")

    def _check_settings(self) -> None:
        for name in ("hidden", "layers", "n_samples", "max_epochs", "batch_size"):
            require_integer(getattr(self, name), name, least=1)
        if self.device not in (None, "cpu"):
            raise InputError(f"device={self.device!r}: only None and 'cpu' are supported")
        for name, low, high in (("validation", 0.0, 0.9), ("thinning", 0.0, 0.99)):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not low <= value <= high:
                raise InputError(f"{name} must lie in [{low:g}, {high:g}], got {value!r}")
        if not self.lr > 0:
            raise InputError(f"lr must be positive, got {self.lr!r}")
        if self.step is not None and not self.step > 0:
            raise InputError(f"step must be None or a positive duration, got {self.step!r}")

    def _begin(self, batch: SeriesBatch, n_channels: int, n_statics: int) -> None:
        """Seeds, and the figures of the data that the network is built from."""
        self.seed_ = seed_from(self.random_state)
        span = float((batch.end - batch.times[:, 0]).median())
        step = span / _STEPS_PER_SPAN if self.step is None else self.step / self.scaling_.time_scale
        self.shape_: dict[str, Any] = {
            "n_channels": n_channels,
            "n_statics": n_statics,
            "step": step if step > 0 else 1.0,
            "slope_scale": typical_slope(batch),
            "most_counts": float(batch.mask.sum(1).max()),
        }

    def _fit_scaling(self, data: IrregularSeries) -> SeriesBatch:
        """Measure the training series, on one axis of time for all, and scale them."""
        self.n_features_in_, self.axis_ = data.values.shape[2], data.axis
        origin, end = float(data.times.min()), float(data.times.max())
        self.scaling_ = Scaling.of(data, time_origin=origin, time_scale=end - origin)
        batch = self.scaling_.batch(data)
        self._begin(batch, self.n_features_in_, batch.statics.shape[1])
        return batch

    def _network(self, seed: int) -> Network:
        """A new network for the shape of the data."""
        with seeded(seed):
            return Network(self._encoder(seed), self._head())

    def _encoder(self, seed: int) -> Encoder:
        shape = self.shape_
        n_channels, n_statics = shape["n_channels"], shape["n_statics"]
        if self.dynamics in RECURRENT:
            flow = self.dynamics == "ode_rnn"
            return RecurrentEncoder(
                self.hidden, n_channels, n_statics, flow=flow, layers=self.layers
            )
        looks = self.dynamics not in WITHOUT_CONTROL if self.control is None else self.control
        dynamics = make_dynamics(
            self.dynamics,
            self.hidden,
            Controls.width(n_channels) if looks else 0,
            parameterization=self.parameterization,
            layers=self.layers,
            noise=self.noise,
            random_state=seed,
        )
        return SDEEncoder(
            dynamics,
            n_channels,
            n_statics,
            interpolation=self.interpolation,
            step=shape["step"],
            slope_scale=shape["slope_scale"],
            most_counts=shape["most_counts"],
            # the penalty needs a solver that estimates its error
            method="euler" if self.regularization is None else "sriw1",
        )

    def _encode(
        self, batch: SeriesBatch, step: int | None = None, queries: Tensor | None = None
    ) -> Encoding:
        """One noise path per series; in training the noise follows torch's generator."""
        seed = int(torch.randint(2**62, (1,))) if step is not None else self._noise_seed
        penalised = self.regularization if step is not None else None
        encoder = self.network_.encoder
        encoding: Encoding = encoder(batch, queries, seed=seed, regularization=penalised)
        return encoding

    def _with_penalties(self, loss: Tensor, encoding: Encoding, step: int, **terms: Tensor) -> Loss:
        """A loss with the cost of the solver's steps and the divergence from a prior."""
        total = loss + self.kl_weight * encoding.kl
        if self.regularization is not None:
            total = total + self.regularization.weight(step) * encoding.penalty
            terms["penalty"] = encoding.penalty.detach()
        return Loss(total, {name: value.detach() for name, value in terms.items()})

    def _split(self, groups: Array) -> tuple[Array, Array]:
        """Rows for training and for validation, whole groups at a time; none below 200 rows."""
        rows = np.arange(len(groups))
        names = np.unique(groups)
        n_held = round(self.validation * len(names))
        if len(rows) < _FEWEST_TO_VALIDATE or n_held == 0:
            return rows, rows[:0]
        rng = np.random.default_rng(spawn(self.seed_, 4)[3])
        held = np.isin(groups, rng.permutation(names)[:n_held])
        return rows[~held], rows[held]

    def _train(
        self,
        objective: Callable[[Tensor, int], Loss],
        rows: Array,
        validate: Callable[[], float] | None,
        *,
        watched: bool = True,
    ) -> None:
        """Train a new network on rows of the data and keep its best or its average weights.

        Args:
            objective: (rows, step) -> loss.
            rows: of the data.
            validate: figure of the held-out rows, where there are any.
            watched: whether the callbacks of the user take part.
        """
        seed_weights, seed_batches, seed_noise, _ = spawn(self.seed_, 4)
        self._noise_seed = seed_noise
        self.network_ = self._network(seed_weights)
        recipe = Recipe(
            seed=seed_batches,
            epochs=self.max_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
            groups=matrices_decay,
            warmup=50,
            floor=1e-2,
            clip=1.0,
            average=0.99,
            patience=self.patience,
            validations=40,
            callbacks=self.callbacks if watched else (),
            verbose=self.verbose,
        )
        self.history_ = recipe.fit(self.network_, objective, rows, validate).history

    def _scores_over_paths(
        self,
        read: Callable[[Encoding], Tensor],
        batch: SeriesBatch,
        n: int,
        seed: int,
        queries: Tensor | None = None,
    ) -> Tensor:
        """What a head says along n noise paths of every series, (n, B, ...)."""
        seeds = spawn(seed, n if self.is_noisy else 1)
        with torch.no_grad():
            encoder = self.network_.encoder
            return torch.stack([read(encoder(batch, queries, seed=one)) for one in seeds])


def _plain(value: Any) -> Any:
    """A setting as JSON holds it: durations by their spelling, numpy's scalars as Python's."""
    if isinstance(value, (timedelta, np.timedelta64)):
        return pd.Timedelta(value).isoformat()
    return value.item() if isinstance(value, np.generic) else value


def compacted(series: IrregularSeries) -> IrregularSeries:
    """The series without times at which nothing was observed."""
    seen = series.mask.any(axis=2)
    return series if (seen == series.present).all() else series.compact()
