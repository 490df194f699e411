"""Positive rows relative to the row before; ordered quadruples keep their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.words import renamed_settings
from trajinfer.generation.memory_settings import Memory
from trajinfer.generation.row_transform import RowTransform, State, TransformedRows, average_before

_NO_SHADOW = -0.01
_WIDEST = 2.0


@renamed_settings(volume_half_life="half_life")
@packable
@dataclass(frozen=True)
class RelativeRows(RowTransform):
    r"""Positive channels relative to the row before, as prices are.

    An ordered quadruple, whose second channel is the largest and whose third is the smallest of the
    four in every row (open, high, low, close), becomes the opening gap $\log O_t - \log C_{t-1}$,
    the return $\log C_t - \log O_t$, and the square roots of the upper and the lower shadow in
    logarithms, so that $H \ge \max(O, C)$ and $L \le \min(O, C)$ always hold. A channel that
    returns to a slow level, such as a volume, becomes its logarithm minus a slow average of the
    past, within $\pm 2$. Every other channel becomes its log-return.

    Args:
        half_life: rows after which the slow average has half forgotten.
        quadruple: names of the ordered quadruple, in any case; it is used where all four are there.
        reverting: name of the channel that returns to a slow level, in any case.
    """

    half_life: float = 40.0
    quadruple: tuple[str, str, str, str] = ("open", "high", "low", "close")
    reverting: str = "volume"

    @property
    def memory(self) -> Memory:
        """Averages over days, weeks and a month, and the row before."""
        return Memory(half_lives=(1.5, 5.0, 20.0), lags=(1,), burn_in=30, block=36, ensemble=3)

    def comparable(self, values: Array) -> Array:
        """Logarithms relative to the first row."""
        logs = np.log(values)
        return np.asarray(logs - logs[:, :1])

    def learn(self, values: Array, channels: Sequence[str]) -> State:
        """Which channel is which.

        Raises:
            InputError: for prices or volumes that are not positive, or bars out of order.
        """
        bad = ~(values > 0)
        if bad.any():
            k = int(bad.any(axis=0).argmax())
            raise InputError(
                f"transform='relative' takes logarithms, but channel '{channels[k]}' holds "
                f"{values[bad[:, k], k][0]:g}; leave such rows out, or use transform='standard'"
            )
        names = [name.lower() for name in channels]
        ordered, slow = [name.lower() for name in self.quadruple], self.reverting.lower()
        bar = [names.index(name) for name in ordered] if set(ordered) <= set(names) else []
        volume = [names.index(slow)] if slow in names else []
        if bar:
            o, h, low, c = values[:, bar].T
            if (h < np.maximum(o, c)).any() or (low > np.minimum(o, c)).any():
                raise InputError("a bar has its high or low inside its body; check the columns")
        prices = [k for k in range(len(names)) if k not in bar + volume]
        return {
            "bar": np.array(bar, dtype=int),
            "volume": np.array(volume, dtype=int),
            "prices": np.array(prices, dtype=int),
        }

    def forward(self, values: Array, state: State, rng: np.random.Generator) -> TransformedRows:
        """Latent rows; the first row of a record has none, for want of a row before it."""
        logs = np.log(values)
        before = np.concatenate([np.full_like(logs[:, :1], np.nan), logs[:, :-1]], axis=1)
        parts, levels = [], []
        if len(state["bar"]):
            o, h, low, c = np.moveaxis(logs[..., state["bar"]], -1, 0)
            up, down = h - np.maximum(o, c), np.minimum(o, c) - low
            shadows = [np.where(s > 0, np.sqrt(np.abs(s)), _NO_SHADOW + 0 * s) for s in (up, down)]
            parts.append(np.stack([o - before[..., state["bar"][3]], c - o, *shadows], axis=-1))
            levels.append(c[..., None])
        parts.append((logs - before)[..., state["prices"]])
        levels.append(logs[..., state["prices"]])
        if len(state["volume"]):
            volume = logs[..., state["volume"]]
            slow = self._slow(volume)
            parts.append(volume - slow)
            keep = 0.5 ** (1 / self.half_life)
            levels.append(keep * slow + (1 - keep) * volume)
        rows = np.concatenate(parts, axis=-1)
        rows[np.isnan(rows).any(axis=-1)] = np.nan
        bounds = np.stack([np.nanmin(rows, axis=(0, 1)), np.nanmax(rows, axis=(0, 1))])
        if len(state["volume"]):
            bounds[:, -1] = bounds[:, -1].clip(-_WIDEST, _WIDEST)
        return TransformedRows(
            rows, np.zeros(rows.shape, bool), np.concatenate(levels, axis=-1), bounds
        )

    def inverse(self, latents: Array, zero: Array, levels: Array, state: State) -> Array:
        """Prices that go on from the last close, volumes that go on from their slow average."""
        n, length, _ = latents.shape
        n_channels = sum(len(state[name]) for name in ("bar", "prices", "volume"))
        logs = np.empty((n, length, n_channels))
        k, level = 0, 0
        if len(state["bar"]):
            gap, change, up, down = np.moveaxis(latents[..., :4], -1, 0)
            c = levels[:, :1] + np.cumsum(gap + change, axis=1)
            o = c - change
            h = np.maximum(o, c) + np.maximum(up, 0) ** 2
            low = np.minimum(o, c) - np.maximum(down, 0) ** 2
            logs[..., state["bar"]] = np.stack([o, h, low, c], axis=-1)
            k, level = 4, 1
        n_prices = len(state["prices"])
        returns = latents[..., k : k + n_prices]
        start = levels[:, None, level : level + n_prices]
        logs[..., state["prices"]] = start + np.cumsum(returns, axis=1)
        if len(state["volume"]):
            innovation = latents[..., -1:]
            learned = (1 - 0.5 ** (1 / self.half_life)) * innovation
            logs[..., state["volume"]] = (
                levels[:, None, -1:] + np.cumsum(learned, axis=1) - learned + innovation
            )
        return np.asarray(np.exp(logs))

    def _slow(self, volume: Array) -> Array:
        """Slow average of what came before every row, begun at the average of the first rows."""
        first = max(2, int(self.half_life))
        return average_before(volume, self.half_life, np.nanmean(volume[:, :first], axis=1))
