"""A path-dependent law of rows, learned by likelihood and drawn with the residuals of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from trajinfer._core.checks import Array
from trajinfer._core.devices import home_of
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn
from trajinfer.generation.history import History, MemoryState
from trajinfer.generation.memory_law import MemoryLaw, train_law
from trajinfer.generation.memory_residuals import Residuals
from trajinfer.generation.memory_settings import Memory
from trajinfer.generation.row_transform import TransformedRows
from trajinfer.generation.seasonal_profile import SeasonalProfile
from trajinfer.training import Callback, Report

_FEWEST_ROWS = 100
_CPU = torch.device("cpu")

# records and columns of rows
_Rows = tuple[Array, Array]


@packable
@dataclass(frozen=True)
class Scales:
    """Units of latent rows.

    Attributes:
        mean: (D,) of the rows.
        std: (D,) of the rows.
        bounds: (2, D) what rows are clipped to.
        hurdles: (Z,) numbers of the channels with a mass at zero.
    """

    mean: Array
    std: Array
    bounds: Array
    hurdles: Array


@packable
class MemoryModel:
    """A fitted law of the next row.

    Args:
        memory: settings.
        scales: units.
        profile: what is usual.
        laws: the ensemble.
        residuals: what draws are made of.
    """

    def __init__(
        self,
        memory: Memory,
        scales: Scales,
        profile: SeasonalProfile,
        laws: nn.ModuleList,
        residuals: Residuals | None,
    ) -> None:
        self.memory, self.scales, self.profile = memory, scales, profile
        self.laws, self.residuals = laws, residuals

    def to_state(self) -> dict[str, Any]:
        """Settings, units, weights and residuals, for `trajinfer._core.packing`."""
        return {
            "memory": self.memory,
            "scales": self.scales,
            "profile": self.profile,
            "laws": [dict(law.state_dict()) for law in self.laws],
            "residuals": self.residuals,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The model that `to_state` described."""
        memory, scales, weights = state["memory"], state["scales"], state["laws"]
        laws = nn.ModuleList(
            MemoryLaw(
                weight["linear.layers.0.weight"].shape[1],
                len(scales.mean),
                len(scales.hurdles),
                memory.hidden,
                0,
            )
            for weight in weights
        )
        for law, weight in zip(laws, weights, strict=True):
            law.load_state_dict(weight)
        return cls(memory, scales, state["profile"], laws, state["residuals"])

    def history(self, latents: TransformedRows, number: Array) -> History:
        """What the rows of recordings remember; number (R, T) are their row numbers."""
        rows = (latents.rows - self.scales.mean) / self.scales.std
        return History.of(
            self.memory, self.profile, rows, latents.zero[..., self.scales.hurdles], number
        )

    def predict(self, features: Array) -> tuple[Array, Array, Array]:
        """Place, scale (n, D) and probability of zero (n, Z), averaged over the ensemble."""
        given = torch.as_tensor(features, dtype=torch.float32, device=home_of(self.laws))
        with torch.no_grad():
            parts = [law(given) for law in self.laws]
        loc, log_scale, logits = (torch.stack(part).mean(0) for part in zip(*parts))
        numbers = (loc, log_scale.exp(), logits.sigmoid())
        return tuple(part.cpu().double().numpy() for part in numbers)  # type: ignore[return-value]

    def simulate(
        self, state: MemoryState, n_rows: int, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Latent rows (n, n_rows, D) and their zeros (n, n_rows, D) that go on from a state."""
        n, d = state.recent.shape[0], state.recent.shape[2]
        rows, zeros = np.empty((n, n_rows, d)), np.zeros((n, n_rows, d), dtype=bool)
        for t in range(n_rows):
            rows[:, t], zero = self._next(state, rng)
            zeros[:, t, self.scales.hurdles] = zero
        return rows, zeros

    def _next(self, state: MemoryState, rng: np.random.Generator) -> tuple[Array, Array]:
        scales = self.scales
        loc, scale, chance = self.predict(state.features())
        zero = rng.random(chance.shape) < chance
        residuals = self._residuals()
        pattern, phase = _pattern(state.zero, zero), _phase(self.memory, state.row)
        noise = residuals.draw(pattern, phase, self.memory.jitter, rng)
        u = loc + np.minimum(scale, residuals.largest) * noise
        target = self.profile.restore(self.memory, u, state.row)
        rows = target + (state.recent[:, -1] if self.memory.target == "increment" else 0)
        latent = np.clip(rows * scales.std + scales.mean, *scales.bounds)
        columns = latent[:, scales.hurdles]
        latent[:, scales.hurdles] = np.where(zero, 0.0, columns)
        state.advance((latent - scales.mean) / scales.std, zero)
        return latent, zero

    def _residuals(self) -> Residuals:
        if self.residuals is None:
            raise InputError("the model has no residuals to draw from; fit it first")
        return self.residuals


def fit_memory(
    memory: Memory,
    latents: TransformedRows,
    number: Array,
    seed: int,
    callbacks: Sequence[Callback] = (),
    device: torch.device = _CPU,
) -> tuple[MemoryModel, list[Report]]:
    """Learn the law of the next row from records.

    Args:
        memory: settings.
        latents: latent rows of records.
        number: (R, T) row numbers, for the calendar.
        seed: of everything random.
        callbacks: of the trainings.
        device: of the networks.

    Raises:
        InputError: if too few rows have a past.
    """
    scales = _scales(latents)
    profile = _profile(memory, scales, latents, number)
    model = MemoryModel(memory, scales, profile, nn.ModuleList(), None)
    history = model.history(latents, number)
    usable = history.usable()
    if usable.sum() < _FEWEST_ROWS:
        raise InputError(
            f"only {int(usable.sum())} rows have the {max(memory.lags)} rows before them that the "
            f"memory sees, at least {_FEWEST_ROWS} are needed; give longer series, or "
            "transform='standard'"
        )
    record, column = np.nonzero(usable)
    where = record, column
    features = history.before(*where).features()
    target, free, zero = _observed(model, history, where)
    data = (
        _tensor(features).to(device),
        _tensor(target).to(device),
        torch.as_tensor(free, device=device),
        torch.as_tensor(zero, device=device),
    )
    blocks = record * usable.shape[1] + column // memory.block
    reports = []
    for child in spawn(seed, memory.ensemble):
        first, second = spawn(child, 2)
        sizes = features.shape[1], target.shape[1], zero.shape[1]
        law = MemoryLaw(*sizes, memory.hidden, first).to(device)
        reports.append(train_law(law, memory, data, blocks, second, callbacks))
        model.laws.append(law)
    loc, scale, _ = model.predict(features)
    residual = np.where(free, (target - loc) / scale, 0.0)
    model.residuals = _sorted_residuals(memory, history, where, residual, scale)
    return model, reports


def _observed(model: MemoryModel, history: History, where: _Rows) -> tuple[Array, Array, Array]:
    """What is modelled (n, D), where it is not behind a hurdle (n, D), and the hurdles (n, Z)."""
    record, column = where
    rows, zero = history.rows[where], history.zero[where]
    target = rows - history.rows[record, column - 1] if model.memory.target == "increment" else rows
    free = np.ones(rows.shape, dtype=bool)
    free[:, model.scales.hurdles] = ~zero
    return model.profile.standardise(model.memory, target, history.number[where]), free, zero


def _sorted_residuals(
    memory: Memory, history: History, where: _Rows, values: Array, scale: Array
) -> Residuals:
    record, column = where
    zero = history.zero[where]
    pattern = _pattern(history.zero[record, column - 1], zero)
    phase = _phase(memory, history.number[where])
    period = memory.calendar.period if memory.calendar else 1
    return Residuals.of(values, scale, (pattern, phase), (4 ** zero.shape[1], period))


def _scales(latents: TransformedRows) -> Scales:
    rows = latents.rows.reshape(-1, latents.rows.shape[-1])
    mean, std = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)
    std = np.where(std > 0, std, 1.0)
    hurdles = np.flatnonzero(latents.zero.any(axis=(0, 1)))
    return Scales(mean, std, latents.bounds, hurdles)


def _profile(
    memory: Memory, scales: Scales, latents: TransformedRows, number: Array
) -> SeasonalProfile:
    rows = (latents.rows - scales.mean) / scales.std
    target = np.where(latents.zero, np.nan, rows)
    if memory.target == "increment":
        before = np.concatenate([np.full_like(rows[:, :1], np.nan), rows[:, :-1]], axis=1)
        target = target - before
    d = rows.shape[-1]
    return SeasonalProfile.of(memory, rows.reshape(-1, d), target.reshape(-1, d), number.ravel())


def _pattern(before: Array, zero: Array) -> Array:
    """(n,) number of the pattern of zeros (n, Z) of a row and of the one before."""
    both = np.concatenate([before, zero], axis=1)
    return np.asarray(both @ (2 ** np.arange(both.shape[1])), dtype=int)


def _phase(memory: Memory, row: Array) -> Array:
    """(n,) phase of row numbers, 0 without a calendar."""
    if memory.calendar is None:
        return np.zeros(len(row), dtype=int)
    return memory.calendar.phase(row).astype(int)


def _tensor(array: Array) -> Tensor:
    return torch.as_tensor(array, dtype=torch.float32)
