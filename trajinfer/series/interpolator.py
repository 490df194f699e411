"""Filling in irregular series: a linear Langevin smoother, corrected by a driven neural SDE."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from trajinfer._core.checks import Array, require_finite, require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, spawn, torch_generator
from trajinfer.data import Forecast, IrregularSeries
from trajinfer.data.input import as_series
from trajinfer.metrics import crps
from trajinfer.series.linear_smoother import smooth
from trajinfer.series.series_batch import SeriesBatch
from trajinfer.series.series_estimator import SeriesEstimator, compacted
from trajinfer.training import Loss

_SHARES = (0.0, 0.25, 0.5, 1.0)
_MOST_QUERIES = 64
_SHORTEST_STEP = 0.05


class CorrectionHead(nn.Module):
    """Shift and log-stretch of the smoother's law at every query; none before training.

    Args:
        dim: H.
        n_channels: C.
    """

    def __init__(self, dim: int, n_channels: int) -> None:
        super().__init__()
        last = nn.Linear(dim, 2 * n_channels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(nn.Linear(dim + n_channels, dim), nn.SiLU(), last)

    def forward(self, asked: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
        """Shifts in units of the spread, and log-stretches, (B, Q, C)."""
        out = self.network(torch.cat([asked, spread.log()], dim=-1))
        shift, stretch = out.chunk(2, dim=-1)
        return shift, stretch


@dataclass(frozen=True)
class Hidden:
    """Series, what was hidden from them, and what the smoother says about it.

    Attributes:
        context: the series without it.
        values, mean, spread: (B, T, C) standardised, at the times of the series; NaN in `values`
            where nothing was hidden.
    """

    context: SeriesBatch
    values: Tensor
    mean: Tensor
    spread: Tensor

    def rows(self, index: Tensor, most: int) -> tuple[SeriesBatch, Tensor, Tensor, Tensor, Tensor]:
        """Some series with up to `most` hidden times each: context, times, values, mean, spread."""
        wanted = ~self.values[index].isnan().all(2)
        order = torch.where(wanted, torch.rand(wanted.shape), 2.0).argsort(1)[:, :most]
        places = order.sort(1).values
        column = torch.arange(len(index))[:, None]
        context = SeriesBatch(*(getattr(self.context, f.name)[index] for f in fields(SeriesBatch)))
        times, values, mean, spread = (
            part[column, places]
            for part in (context.times, self.values[index], self.mean[index], self.spread[index])
        )
        return context, times, values, mean, spread


@dataclass(eq=False, repr=False)
class NeuralSDEInterpolator(SeriesEstimator):
    r"""Values between the observations of irregular series, with uncertainty.

    Each channel of each series has its own linear Langevin prior, found by marginal likelihood,
    and with it a smoother (a Gaussian process with a Matern kernel). A latent state, driven along
    the control path through the observations, moves and stretches the smoother's law,
    $m(t) + s(t)\,(a\,\mu(z_t) + e^{a \varsigma(z_t)}\,\varepsilon)$. It learns from observations
    hidden from the series of the fit; its share a in [0, 1] is the one that predicts other hidden
    observations best, so that a is 0 where there is nothing to be learned.

    Args:
        dynamics, parameterization, hidden, layers, interpolation, control, noise, step, n_samples,
            max_epochs, batch_size, lr, weight_decay, kl_weight, regularization, callbacks,
            random_state, device, verbose: as for `NeuralSDEClassifier`.
        thinning, validation, patience: not used; what is hidden takes their place.
        hide: share of the observations hidden in training.
        n_hidings: draws of what is hidden, per series; one more is kept to find the share a.

    Attributes:
        share_: the share a of the correction.
        calibration_: factor on the spreads that makes nine of ten hidden values fall into their
            90 % intervals.
        network_, scaling_, history_: as for `NeuralSDEClassifier`.
    """

    _: KW_ONLY
    step: float | None = None
    max_epochs: int = 60
    hide: float = 0.5
    n_hidings: int = 4

    def fit(self, series: Any, y: Any = None, *, errors: Any = None) -> Self:
        """Fit the correction and the calibration on hidden observations.

        Args:
            series: an `IrregularSeries`, or what `as_series` takes.
            y: not used.
            errors: standard errors of the values, (B, T, C) or series of them.

        Raises:
            InputError: for series or settings that cannot be used.
        """
        self._check_settings()
        require_integer(self.n_hidings, "n_hidings", least=1)
        if not 0 < self.hide < 1:
            raise InputError(f"hide must lie in (0, 1), got {self.hide!r}")
        data = compacted(as_series(series))
        self.axis_ = data.axis
        weights = _relative_variances(as_series(series), errors, data)
        self._fit_scaling(data)
        self.shape_["step"] = max(self.shape_["step"], _SHORTEST_STEP)
        seeds = spawn(spawn(self.seed_, 6)[5], self.n_hidings + 1)
        parts = [self._hide(data, weights, one) for one in seeds]
        shown, kept = _joined(parts[:-1]), parts[-1]

        def objective(index: Tensor, step: int) -> Loss:
            context, times, values, mean, spread = shown.rows(index, _MOST_QUERIES)
            encoding = self._encode(_until_start(context), step, times)
            shift, stretch = self.network_.head(encoding.asked, spread)
            # what is NaN must not enter: zero times NaN is NaN in the gradient
            seen = ~values.isnan()
            size = ((values - mean) / spread)[seen]
            error = (size - shift[seen]) * (-stretch[seen]).exp()
            surprises = 0.5 * error.square() + stretch[seen]
            # of series with two observations nothing is hidden
            loss = surprises.mean() if len(surprises) else surprises.sum()
            return self._with_penalties(loss, encoding, step)

        self._train(objective, np.arange(len(shown.values)), None)
        self._choose_share(kept)
        return self

    def interpolate(
        self,
        series: Any,
        ts: Any,
        n: int = 100,
        *,
        errors: Any = None,
        random_state: RandomState = None,
    ) -> Forecast:
        """Sample values at any times between the first and the last one of each series.

        Samples are those of new observations, their noise included, and independent between times.

        Args:
            series: the observations.
            ts: (T,) or (B, T) ascending times; outside the observations the smoother goes back to
                the mean of the series.
            n: number of samples.
            errors: standard errors of the values.
            random_state: None uses the estimator's.

        Raises:
            InputError: for times that are not in order or not finite.
        """
        self._check_fitted()
        require_integer(n, "n", least=1)
        given = as_series(series).on_axis(self.axis_)
        self.scaling_.require(given)
        seed = spawn(self.seed_, 5)[4] if random_state is None else seed_from(random_state)
        times = self._query(ts, len(given))
        data = compacted(given)
        weights = _relative_variances(given, errors, data)
        mean, spread = self._smoothed(data, weights, times)
        mean, spread = self._corrected(self.scaling_.batch(data), times, mean, spread, seed)
        noise = torch.randn(
            (n, *mean.shape), generator=torch_generator(spawn(seed, 1)[0]), dtype=mean.dtype
        )
        scaled = (mean + spread * noise).numpy() * self.scaling_.spread + self.scaling_.center
        return Forecast(
            scaled.transpose(1, 0, 2, 3), times, given.channels, given.ids, self.axis_, given
        )

    def score(self, series: Any, y: Any = None) -> float:
        """Minus the mean CRPS of values that are hidden from the series for the occasion."""
        self._check_fitted()
        data = compacted(as_series(series).on_axis(self.axis_))
        shown = data.drop_observations(self.hide, spawn(self.seed_, 7)[6])
        hidden = data.mask & ~shown.mask
        if not hidden.any():
            raise InputError(
                "nothing can be hidden from these series, so that no score can be had; give series "
                "with more observations per channel, or a larger hide="
            )
        drawn = self.interpolate(shown, data.times).samples.transpose(1, 0, 2, 3)
        return -float(np.mean(crps(drawn[:, hidden], data.values[hidden])))

    def _hide(self, data: IrregularSeries, weights: Array, seed: int) -> Hidden:
        shown = data.drop_observations(self.hide, seed)
        batch, whole = self.scaling_.batch(shown), self.scaling_.batch(data)
        hidden = torch.where(batch.mask, torch.nan, whole.values)
        mean, spread = self._smoothed(shown, weights, data.times)
        return Hidden(batch, hidden, mean.float(), spread.float())

    def _smoothed(
        self, data: IrregularSeries, weights: Array, times: Array
    ) -> tuple[Tensor, Tensor]:
        """Mean and spread (B, Q, C) of the smoother, standardised."""
        values = (data.values - self.scaling_.center) / self.scaling_.spread
        mean = np.zeros((*times.shape, values.shape[2]))
        spread = np.ones_like(mean)
        # every channel of every series has a prior of its own, and as many times as it has
        for row, channel in np.ndindex(len(values), values.shape[2]):
            seen = ~np.isnan(values[row, :, channel])
            if seen.any():
                law = smooth(
                    data.times[row, seen],
                    values[row, seen, channel],
                    weights[row, seen, channel],
                    times[row],
                )
                mean[row, :, channel], spread[row, :, channel] = law.mean, law.spread
        return torch.as_tensor(mean), torch.as_tensor(np.maximum(spread, 1e-6))

    def _corrected(
        self, batch: SeriesBatch, times: Array, mean: Tensor, spread: Tensor, seed: int
    ) -> tuple[Tensor, Tensor]:
        """The smoother's law, moved and stretched by the share of the correction."""
        if self.share_ > 0:
            scaled = (times - self.scaling_.time_origin) / self.scaling_.time_scale
            queries = torch.as_tensor(scaled)
            first = batch.times[:, :1]
            inside = torch.maximum(queries, first)
            shifts = self._scores_over_paths(
                lambda encoding: torch.stack(self.network_.head(encoding.asked, spread.float())),
                _until_start(batch),
                self.n_samples,
                seed,
                inside,
            ).mean(0)
            mean = mean + self.share_ * spread * shifts[0]
            spread = spread * (self.share_ * shifts[1]).exp()
        return mean, spread * torch.as_tensor(self.calibration_)

    def _choose_share(self, kept: Hidden) -> None:
        """Take the share of the correction that predicts best, then calibrate the spreads."""
        seen = ~kept.values.isnan()
        times = kept.context.times * self.scaling_.time_scale + self.scaling_.time_origin
        laws = {}
        self.calibration_ = [1.0] * self.n_features_in_
        for share in _SHARES:
            self.share_ = share
            mean, spread = self._corrected(
                kept.context, times.numpy(), kept.mean.double(), kept.spread.double(), self.seed_
            )
            error = ((kept.values - mean) / spread)[seen]
            surprise = float((0.5 * error.square() + spread[seen].log()).mean())
            laws[share] = (surprise, mean, spread)
        self.share_ = min(laws, key=lambda share: laws[share][0])
        _, mean, spread = laws[self.share_]
        size = torch.where(seen, ((kept.values - mean) / spread).abs(), torch.nan).flatten(0, 1)
        factors = torch.nanquantile(size, 0.9, dim=0) / 1.645
        self.calibration_ = torch.nan_to_num(factors, nan=1.0).clamp(0.1, 10.0).tolist()

    def _query(self, ts: Any, n: int) -> Array:
        numbers = self.axis_.encode(np.ravel(np.asarray(ts))).reshape(np.shape(ts))
        if numbers.ndim not in (1, 2) or (numbers.ndim == 2 and len(numbers) != n):
            raise InputError(f"ts must be (T,) or (B, T) with B = {n}, got shape {numbers.shape}")
        require_finite(np.atleast_1d(numbers), "ts")
        if not numbers.shape[-1] or (np.diff(numbers, axis=-1) < 0).any():
            raise InputError("ts must hold at least one time, in ascending order")
        return np.array(np.broadcast_to(numbers, (n, numbers.shape[-1])), dtype=np.float64)

    def _head(self) -> nn.Module:
        return CorrectionHead(self.hidden, self.shape_["n_channels"])

    def _learned(self) -> dict[str, Any]:
        return {"share": self.share_, "calibration": self.calibration_}

    def _set_learned(self, learned: dict[str, Any]) -> None:
        self.share_, self.calibration_ = learned["share"], learned["calibration"]
        self.n_features_in_ = self.shape_["n_channels"]


def _until_start(batch: SeriesBatch) -> SeriesBatch:
    """The same series, read from their first time on: all queries then lie behind their end."""
    return replace(batch, end=batch.times[:, 0])


def _joined(parts: list[Hidden]) -> Hidden:
    """All hidings one after the other."""
    names = [f.name for f in fields(SeriesBatch)]
    context = SeriesBatch(*(torch.cat([getattr(p.context, n) for p in parts]) for n in names))
    rest = (torch.cat([getattr(p, n) for p in parts]) for n in ("values", "mean", "spread"))
    return Hidden(context, *rest)


def _relative_variances(given: IrregularSeries, errors: Any, kept: IrregularSeries) -> Array:
    """Squared standard errors (B, T, C) relative to their mean; ones where none are given.

    Raises:
        InputError: if errors do not have the shape of the values, or are not positive.
    """
    if errors is None:
        return np.ones(kept.values.shape)
    sizes = errors.values if isinstance(errors, IrregularSeries) else np.asarray(errors, float)
    if sizes.shape != given.values.shape or kept.values.shape != given.values.shape:
        raise InputError(
            f"errors must have the shape of the values, {given.values.shape}, got {sizes.shape}, "
            "and every time must have an observation; see series.compact()"
        )
    if not (sizes[given.mask] > 0).all():
        raise InputError("errors must be positive wherever a value was observed")
    squares = np.where(given.mask, sizes, np.nan) ** 2
    mean = np.nanmean(squares, axis=(0, 1), keepdims=True)
    return np.asarray(np.nan_to_num(squares / mean, nan=1.0))
