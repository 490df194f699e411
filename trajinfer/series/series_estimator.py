"""Settings common to the estimators of irregular series."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from trajinfer._core.accepted_data import SERIES
from trajinfer._core.checks import Array
from trajinfer._core.devices import Device, device_of
from trajinfer._core.estimator import Estimator
from trajinfer._core.seeding import RandomState, Seeds
from trajinfer.data import IrregularSeries, TimeAxis
from trajinfer.paths import Interpolation
from trajinfer.sde import SolverRegularization
from trajinfer.series.by_name import Parameterization
from trajinfer.series.network import Dynamics, Network, NetworkPlan, Shape
from trajinfer.series.number_settings import check_numbers
from trajinfer.series.objective import TrainingPass
from trajinfer.series.series_batch import Scaling
from trajinfer.series.series_model import SeriesModel
from trajinfer.training import Callback, Recipe, Report, matrices_decay

_FEWEST_TO_VALIDATE = 200


@dataclass(eq=False, repr=False)
class SeriesEstimator(Estimator, ABC):
    """Settings of a network and of its training; not for direct use."""

    accepts = replace(SERIES, statics=True)
    training_only: ClassVar[Mapping[str, Any]] = {"callbacks": (), "regularization": None}

    dynamics: Dynamics = "langevin"
    _: KW_ONLY
    parameterization: Parameterization = "pure"
    hidden: int | Sequence[int] = 32
    layers: int = 2
    interpolation: Interpolation = "hermite"
    control: bool | None = None
    stochastic: bool = True
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
    checkpoint: str | Path | None = None
    random_state: RandomState = None
    device: Device = None
    verbose: int = 0

    @property
    def network_(self) -> Network:
        """The trained network."""
        return self._series_model().network

    @property
    def scaling_(self) -> Scaling:
        """The map from data to inputs of the network."""
        return self._series_model().scaling

    @property
    def axis_(self) -> TimeAxis:
        """The axis of the times of the fit."""
        return self._series_model().axis

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True  # NaN: not observed
        return tags

    def _series_model(self) -> SeriesModel:
        series: SeriesModel = self.model_.series
        return series

    def _check_settings(self) -> None:
        check_numbers(partial(getattr, self))
        device_of(self.device)

    def _widths(self) -> tuple[int, ...]:
        """H, and the widths of the hidden layers of the drift."""
        if np.ndim(self.hidden) == 0:
            return (self.hidden,) * (1 + self.layers)  # type: ignore[return-value]
        widths = tuple(self.hidden)  # type: ignore[arg-type]
        return widths if len(widths) > 1 else widths * (1 + self.layers)

    def _plan(self, shape: Shape, head: str, **head_sizes: int) -> NetworkPlan:
        """The network that the settings describe, for data of a shape."""
        return NetworkPlan(
            dynamics=self.dynamics,
            widths=tuple(int(width) for width in self._widths()),
            shape=shape,
            head=head,
            head_sizes=head_sizes,
            parameterization=self.parameterization,
            interpolation=self.interpolation,
            control=self.control,
            stochastic=self.stochastic,
            # the penalty needs a solver that estimates its error
            method="euler" if self.regularization is None else "sriw1",
        )

    def _scaled_step(self, scaling: Scaling) -> float | None:
        return None if self.step is None else self.step / scaling.time_scale

    def _training_pass(self, network: Network, seeds: Seeds) -> TrainingPass:
        network.to(device_of(self.device))
        return TrainingPass(
            network, self.kl_weight, self.regularization, self.thinning, seeds.noise
        )

    def _recipe(self, seeds: Seeds, *, callbacks: bool = True) -> Recipe:
        """The training that the settings describe, with or without the callbacks of the user."""
        return Recipe(
            seed=seeds.batches,
            epochs=self.max_epochs or 1,
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
            callbacks=self.callbacks if callbacks else (),
            verbose=self.verbose,
        )

    def _keep_features(self, data: IrregularSeries) -> None:
        self.n_features_in_ = data.values.shape[2]
        self.feature_names_in_ = np.array(data.channels, dtype=object)

    def _conclude_training(self, report: Report, seed: int) -> None:
        self._conclude(
            seed=seed,
            n_iter=report.history[-1]["epoch"],
            converged=report.n_skipped == 0,
            history=report.history,
        )


def split(groups: Array, share: float, seed: int) -> tuple[Array, Array]:
    """Rows for training and for validation, whole groups at a time; none below 200 rows."""
    rows = np.arange(len(groups))
    names = np.unique(groups)
    n_held = round(share * len(names))
    if len(rows) < _FEWEST_TO_VALIDATE or n_held == 0:
        return rows, rows[:0]
    rng = np.random.default_rng(seed)
    held = np.isin(groups, rng.permutation(names)[:n_held])
    return rows[~held], rows[held]
