"""Steps that hit every time asked for, laid out once in float64 on the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.errors import InputError, MaxStepsExceeded, TimeGridError

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class StepGrid:
    """Steps that hit every output time.

    Attributes:
        ts: output times, (T,) or (B, T).
        times: ends of the steps, (N + 1,) or (B, N + 1).
        saved: index into `times` of every output time, (T,).
    """

    ts: Array
    times: Array
    saved: Array

    @property
    def n_steps(self) -> int:
        """N."""
        return int(self.times.shape[-1]) - 1

    @property
    def shared(self) -> bool:
        """Whether all series have the same times."""
        return self.times.ndim == 1


def output_times(ts: Any, n_paths: int) -> Array:
    """Check the times of a solve and bring them to float64, (T,) or (B, T).

    Raises:
        TimeGridError: if they are not finite, not increasing (shared), decreasing (per series), or
            of the wrong shape.
    """
    if isinstance(ts, Tensor):
        if ts.requires_grad:
            raise InputError("ts requires a gradient, which `solve` does not give; use ts.detach()")
        ts = ts.detach().cpu().numpy()
    try:
        times = np.array(ts, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TimeGridError(
            f"ts must be numbers of shape (T,) or (B, T), but: {error}; pad short series by "
            "repeating the last time"
        ) from error
    if times.ndim not in (1, 2) or times.shape[-1] < 2:
        raise TimeGridError(f"ts must be (T,) or (B, T) with T >= 2, got shape {times.shape}")
    if times.ndim == 2 and times.shape[0] != n_paths:
        raise TimeGridError(f"ts has {times.shape[0]} series of times, y0 has {n_paths} rows")
    if not np.isfinite(times).all():
        raise TimeGridError("ts holds NaN or infinity; pad short series by repeating the last time")
    gaps = np.diff(times, axis=-1)
    if times.ndim == 1 and (gaps <= 0).any():
        k = int(np.argmax(gaps <= 0))
        raise TimeGridError(
            f"ts must increase strictly, but ts[{k}] = {times[k]:g} is followed by "
            f"{times[k + 1]:g}; sort it and merge equal times",
            t=float(times[k]),
        )
    if (gaps < 0).any():
        b, k = (int(i) for i in np.argwhere(gaps < 0)[0])
        raise TimeGridError(f"ts decreases in series {b} after index {k}; sort each series")
    return times


def build_grid(ts: Array, step: float | None, max_steps: int) -> StepGrid:
    """Divide every interval of `ts` into equal steps no longer than `step`.

    Where series have their own times, each divides its own interval, whatever the batch it sits
    in, and waits with steps of length zero for the series that need most steps.

    Args:
        ts: output times, (T,) or (B, T).
        step: the largest step, or None for one step per interval.
        max_steps: more steps than this are refused.

    Raises:
        MaxStepsExceeded: if more steps are needed.
    """
    counts = _counts(ts, step, max_steps)
    if ts.ndim == 1 and step is None:
        times, saved = ts, np.arange(len(ts))
    else:
        times, saved = _divide(ts, counts) if ts.ndim == 1 else _divide_each(ts, counts)
    return StepGrid(ts, times, saved)


def _counts(ts: Array, step: float | None, max_steps: int) -> Array:
    """The number of steps that every interval needs, checked before any is laid out."""
    gaps = np.diff(ts, axis=-1)
    counts = np.ones_like(gaps)
    if step is not None:
        with np.errstate(over="ignore"):
            counts = np.maximum(1.0, np.ceil(gaps / float(step) - 1e-9))
    needed = float(np.sum(counts.max(axis=0) if ts.ndim == 2 else counts))
    if needed > max_steps:
        raise MaxStepsExceeded(
            f"{needed:.10g} steps are needed and max_steps is {max_steps}; "
            "take a longer step or raise max_steps",
            t=float(np.min(ts)),
        )
    return counts.astype(np.int64)


def _divide(ts: Array, counts: Array) -> tuple[Array, Array]:
    """Ends of the steps between shared times, and where the output times are among them."""
    gaps = np.diff(ts)
    saved = np.concatenate([[0], np.cumsum(counts)])
    interval = np.repeat(np.arange(len(counts)), counts)
    done = (np.arange(saved[-1]) - saved[interval]) / counts[interval]
    return np.append(ts[interval] + done * gaps[interval], ts[-1]), saved


def _divide_each(ts: Array, counts: Array) -> tuple[Array, Array]:
    """The same where every series has its own times: all have as many steps as any needs."""
    gaps = np.diff(ts, axis=-1)
    per_interval = counts.max(axis=0)
    saved = np.concatenate([[0], np.cumsum(per_interval)])
    interval = np.repeat(np.arange(len(per_interval)), per_interval)
    within = np.arange(saved[-1]) - saved[:-1][interval]
    done = np.minimum(within / counts[:, interval], 1.0)
    steps = ts[:, :-1][:, interval] + done * gaps[:, interval]
    times = np.concatenate([steps, ts[:, -1:]], axis=1)
    # the last waiting step of an interval must end, and start, exactly on the output time
    waiting = done >= 1.0
    times[:, :-1][waiting] = ts[:, 1:][:, interval][waiting]
    return times, saved


def times_tensor(times: Array, y: Tensor) -> tuple[Tensor, ...]:
    """Times as networks take them: one 0-d tensor, or (B, 1), each, in the dtype of y."""
    rows = times.T[:, :, None] if times.ndim == 2 else times
    tensor = torch.as_tensor(np.ascontiguousarray(rows), dtype=y.dtype, device=y.device)
    return tensor.unbind(0)


def step_sizes(times: Array, y: Tensor) -> list[Any]:
    """Lengths of the steps: Python floats, or (B, 1) tensors where series have their own times."""
    lengths = np.diff(times, axis=-1)
    if times.ndim == 1:
        return list(lengths.tolist())
    columns = np.ascontiguousarray(lengths.T[:, :, None])
    return list(torch.as_tensor(columns, dtype=y.dtype, device=y.device).unbind(0))
