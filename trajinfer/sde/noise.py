"""From what a user gives as noise to a source that fits the solve."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer._core.errors import BrownianMismatch, InputError
from trajinfer._core.seeding import RandomState
from trajinfer.paths import BrownianGrid, BrownianPath, BrownianStack, BrownianTable, BrownianTree
from trajinfer.paths.brownian import require_match
from trajinfer.paths.brownian_tree import TreeWalk
from trajinfer.paths.step_grid import Array, StepGrid

NoiseLike = BrownianPath | Tensor | tuple[Tensor, Tensor]
RejectableNoise = BrownianStack | TreeWalk
"""Noise that can be walked with rejections."""


def noise_on_grid(
    noise: NoiseLike | None,
    random_state: RandomState,
    grid: StepGrid,
    shape: tuple[int, int],
    y0: Tensor,
    samples: list[int] | None = None,
) -> BrownianPath | None:
    """The source of noise of a fixed-step solve; None for an ODE.

    Raises:
        BrownianMismatch: if the noise given does not fit.
    """
    if noise is None:
        if shape[1] == 0:
            return None
        return BrownianGrid(
            grid.times,
            shape,
            random_state=random_state,
            samples=samples,
            dtype=y0.dtype,
            device=y0.device,
        )
    if samples is not None:
        raise InputError("per_sample_seed is for noise that is drawn; leave noise= out")
    path = _as_path(noise)
    require_match(path, shape, y0.dtype, y0.device)
    return path


def rejectable_noise(
    noise: NoiseLike | None,
    random_state: RandomState,
    ts: Array,
    shape: tuple[int, int],
    y0: Tensor,
) -> RejectableNoise | None:
    """The source of noise of an adaptive solve; None for an ODE.

    Raises:
        BrownianMismatch: if the noise given does not fit, or cannot serve rejected steps.
        TimeGridError: if a tree is shorter than the solve.
    """
    if shape[1] == 0:
        return None
    t0 = float(ts[0]) if ts.ndim == 1 else 0.0
    if noise is None:
        return BrownianStack(
            shape, t0=t0, random_state=random_state, dtype=y0.dtype, device=y0.device
        )
    path = _as_path(noise)
    require_match(path, shape, y0.dtype, y0.device)
    if isinstance(path, BrownianStack):
        return path
    if isinstance(path, BrownianTree) and ts.ndim == 1:
        return TreeWalk(path, t0, float(ts[-1]))
    raise BrownianMismatch(
        f"{type(path).__name__} knows its own steps only, so it cannot serve adaptive steps; "
        "pass random_state=, a BrownianStack, or (for shared times) a BrownianTree"
    )


def noise_by_sample(
    noise: NoiseLike | None,
    random_state: RandomState,
    ts: Array,
    shape: tuple[int, int],
    y0: Tensor,
) -> BrownianTree | None:
    """Noise that can be asked for at different times per path; None for an ODE.

    Raises:
        BrownianMismatch: if the noise given cannot.
    """
    if shape[1] == 0:
        return None
    if noise is None:
        first, last = float(ts.min()), float(ts.max())
        if first == last:
            last = first + 1.0  # no series moves, but a tree has a length
        return BrownianTree(
            first, last, shape, random_state=random_state, dtype=y0.dtype, device=y0.device
        )
    path = _as_path(noise)
    require_match(path, shape, y0.dtype, y0.device)
    if isinstance(path, BrownianTree):
        return path
    raise BrownianMismatch(
        f"{type(path).__name__} cannot be asked for at different times per path; for "
        "Adaptive(control='sample') pass random_state= or a BrownianTree"
    )


def _as_path(noise: NoiseLike) -> BrownianPath:
    if isinstance(noise, Tensor):
        return BrownianTable(noise)
    if isinstance(noise, tuple) and len(noise) == 2 and all(map(torch.is_tensor, noise)):
        return BrownianTable(*noise)
    if isinstance(noise, BrownianPath):
        return noise
    raise InputError(
        "noise must be a tensor (B, n_steps, M), a pair (W, H) or a BrownianPath, got "
        f"{type(noise).__name__}"
    )
