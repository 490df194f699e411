"""Result of a solve."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Stats:
    """Work done by a solve.

    Attributes:
        nfe_f: evaluations of the drift.
        nfe_g: evaluations of the diffusion.
        n_steps: accepted steps.
        n_rejected: rejected steps.
        extra_nfe: evaluations outside the steps.
        method: name of the solver.
        seed: the seed the noise was drawn from, None where the noise was given.
    """

    nfe_f: int
    nfe_g: int
    n_steps: int
    n_rejected: int = 0
    extra_nfe: int = 0
    method: str = ""
    seed: int | None = None


@dataclass(frozen=True)
class Solution:
    """Paths at the output times.

    Attributes:
        ts: output times, (T,) or (B, T), float64 on the host.
        ys: states, (B, T, D).
        stats: work done.
        penalty: the unweighted regularisation penalty, 0-d.
        penalty_terms: its parts by name.
        log_ratio: (B, T - 1), if asked for.
        errors: error estimates per step, (n_steps, B, D), where the solver was asked for them.
        stiffness: stiffness estimates per step, (n_steps,), or (n_steps, B) where series have
            their own times, if a global penalty on the stiffness was asked for.
        mask: (B,), True for paths that stayed finite; only with `on_error="mask"`, and paths that
            did not are NaN throughout.
    """

    ts: Tensor
    ys: Tensor
    stats: Stats
    penalty: Tensor
    penalty_terms: dict[str, Tensor] = field(default_factory=dict)
    log_ratio: Tensor | None = None
    errors: Tensor | None = None
    stiffness: Tensor | None = None
    mask: Tensor | None = None
