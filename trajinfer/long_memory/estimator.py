"""The estimator: an SDE driven by fractional noise, with learned Hurst index, fitted to series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch

from trajinfer._core.accepted_data import SERIES
from trajinfer._core.checkpoint_folder import once
from trajinfer._core.devices import Device, require_cpu
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.data import IrregularSeries
from trajinfer.data.grouping import similar_lengths
from trajinfer.data.input import series_to_learn
from trajinfer.data.scaling import Standardisation
from trajinfer.fractional.nodes import default_nodes
from trajinfer.fractional.normalization import FbmType
from trajinfer.long_memory import format_1
from trajinfer.long_memory.checks import check_data, check_settings, fixed_hurst, median_gap
from trajinfer.long_memory.exact import ExactProcess
from trajinfer.long_memory.linear import NoiseBasis
from trajinfer.long_memory.model import FractionalModel, standardised_grid
from trajinfer.long_memory.process import FitReport, Process
from trajinfer.long_memory.variational import VariationalInference
from trajinfer.long_memory.verbs import FractionalVerbs
from trajinfer.training import Recipe

Drift = Literal["linear", "mlp"]
Inference = Literal["auto", "exact", "variational"]
Likelihood = Literal["gaussian", "student_t"]
_REACH = 0.5
_CLIP = 10.0
_LAST_RATE = 0.05


@dataclass(eq=False, repr=False)
class FractionalSDE(FractionalVerbs):
    r"""A neural SDE driven by fractional Brownian motion, $dX = b(X)\,dt + \sigma\,dB_H$.

    The noise is the Markov approximation of type I or II with unit variance at time 1, one Hurst
    index per channel; observations are X plus noise. With the linear drift $\theta(m - X)$ and
    Gaussian noise the evidence is exact (a Kalman filter over the nodes). A drift network or
    Student noise is fitted by variational inference: the posterior follows the exact smoother of
    the linear part, which a network corrects, and the memory $Y$ is part of the state, also at the
    start and beyond the last observation.

    Args:
        hurst: "learn", a number, or one per channel (C,).
        n_ou: number of Ornstein-Uhlenbeck nodes.
        fbm_type: 1 for stationary increments, 2 for Riemann-Liouville.
        drift: "linear", or "mlp" for a network added to it.
        likelihood: "gaussian" or "student_t" noise of learned size.
        inference: "exact" (linear and Gaussian only), "variational", or "auto", which is exact
            where it can be.
        latent_dim: None for one process per channel; else d processes behind a linear decoder.
        horizon: the longest duration, a number or a timedelta, that forecasts will reach ahead of
            the last time of a series; None takes half of the longest series.
        hidden: widths of the layers of the networks; a number stands for two layers of it.
        max_epochs, batch_size, lr: of the variational training.
        step: largest step of the variational solve, in units of the data; None takes the median
            time between observations.
        checkpoint: folder in which the work is kept as it is done: a fit that was killed goes on
            from there when it is called again; see docs/scale.md.
        random_state: seed of the training and of draws; sampling calls can override it.
        device: None, "cpu" or "auto": its recursions in double precision run on the CPU.
        verbose: 1 shows progress.

    Attributes:
        hurst_: (C,) Hurst indices, of the latent processes where there is a latent_dim.
        hurst_interval_: (C, 2) 95 % intervals from the curvature of the joint likelihood with
            theta and the noise; 0 or 1 where the data do not bound the index. For a fit by
            variational inference that of the linear model it starts from.
        elbo_: log-evidence (exact) or its lower bound, of all observations, in units of the data.
        theta_, mean_, volatility_, noise_: (C,) parameters of the linear part.
        stationary_: (C,) bool, whether the process was taken for stationary from the first time on;
            else X has a law of its own there (tracks from an origin, experiments from rest). One
            series alone always is; of several the likelier holds (BIC).
        horizon_: longest duration from the start of a series that the noise covers: the longest
            series and the horizon.
        step_: largest step of the variational solve.
        n_iter_, converged_, history_: of the search or the training.
        n_features_in_, feature_names_in_: number and names of the channels.
        seed_: the seed of the fit.
        model_: the fitted `FractionalModel`, which draws and answers.

    Raises:
        InputError: for settings or data that cannot be used, before any work.

    References:
        Daems, Opper, Crevecoeur, Birdal, "Variational Inference for SDEs Driven by Fractional
        Noise", ICLR 2024, arXiv 2310.12975.

    Example:
        >>> from trajinfer.fractional import simulate_fractional_ou
        >>> paths = simulate_fractional_ou(0.7, 1.0, np.arange(0, 6, 0.5), 4, random_state=0)
        >>> series = IrregularSeries.from_arrays(paths.ts, paths.values)
        >>> model = FractionalSDE(n_ou=6, random_state=0).fit(series)
        >>> model.forecast(series, [6.5, 7.0], n=10).samples.shape
        (4, 10, 2, 1)
    """

    accepts = SERIES

    hurst: Literal["learn"] | float | Sequence[float] = "learn"
    _: KW_ONLY
    n_ou: int = 12
    fbm_type: FbmType = 1
    drift: Drift = "linear"
    likelihood: Likelihood = "gaussian"
    inference: Inference = "auto"
    latent_dim: int | None = None
    horizon: float | timedelta | None = None
    hidden: int | Sequence[int] = 32
    max_epochs: int = 100
    batch_size: int = 16
    lr: float = 5e-3
    step: float | None = None
    checkpoint: str | Path | None = None
    random_state: RandomState = None
    device: Device = None
    verbose: int = 0

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit to series.

        Args:
            X: `IrregularSeries`, or an array (B, T, C) at unit steps, NaN = not observed.
            y: ignored.

        Raises:
            InputError: for settings or data that cannot be used.
        """
        series = series_to_learn(X)
        check_settings(self)
        require_cpu(self.device, "long memory is recursions in double precision on the CPU")
        check_data(series)
        seed = once("seed", seed_from, self.random_state)
        longest = float((series.last_times - series.first_times).max())
        ahead = _REACH * longest if self.horizon is None else series.axis.duration(self.horizon)
        scaling = Standardisation.of(series.flat_values)
        process, report = self._fitted(series, scaling, longest + ahead, seed)
        unit = float(np.log(scaling.scale) @ (~np.isnan(series.flat_values)).sum(axis=0))
        elbo = report.elbo - unit
        self.model_ = FractionalModel(
            process,
            scaling,
            longest + ahead,
            longest,
            len(series),
            series.axis,
            series.channels,
            report.interval,
            elbo,
        )
        self.n_features_in_ = len(series.channels)
        self.feature_names_in_ = np.array(series.channels, dtype=object)
        self._conclude(
            seed=seed,
            n_iter=report.n_iter,
            converged=report.converged,
            history=report.history or [{"seed": seed, "elbo": elbo}],
        )
        return self

    def _fitted(
        self, series: IrregularSeries, scaling: Standardisation, span: float, seed: int
    ) -> tuple[Process, FitReport]:
        nodes = torch.as_tensor(default_nodes(self.n_ou, 1.0, self.fbm_type))
        basis = NoiseBasis(nodes, self.fbm_type)
        hurst = fixed_hurst(self.hurst, self.latent_dim or len(series.channels))
        conjugate = self.drift == "linear" and self.likelihood == "gaussian"
        if self.inference != "variational" and conjugate and self.latent_dim is None:
            grids = [
                standardised_grid(series[rows], scaling, span, None)
                for rows in similar_lengths(series.lengths, most=len(series))
            ]
            return ExactProcess.fit(grids, basis, hurst)
        step = median_gap(series) if self.step is None else float(self.step)
        widths = [self.hidden, self.hidden] if isinstance(self.hidden, int) else self.hidden
        inference = VariationalInference(
            Recipe(
                seed=seed,
                epochs=self.max_epochs,
                batch_size=self.batch_size,
                lr=self.lr,
                floor=_LAST_RATE,
                clip=_CLIP,
                verbose=self.verbose,
            ),
            self.drift,
            self.likelihood,
            self.latent_dim,
            tuple(int(width) for width in widths),
        )
        grid = standardised_grid(series, scaling, span, step)
        return inference.fit(grid, basis, hurst, seed, step)

    @classmethod
    def _from_format_1(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self:
        estimator = cls(**config["settings"])
        for name, value in format_1.fitted(config, tensors).items():
            setattr(estimator, name, value)
        return estimator
