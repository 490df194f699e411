"""`make_sines`: series without noise, for which every value follows from the two before."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.data import Trajectories


def make_sines(
    n: int = 10_000,
    n_times: int = 24,
    dim: int = 5,
    *,
    frequency: tuple[float, float] = (0.0, 0.1),
    phase: tuple[float, float] = (0.0, 0.1),
    random_state: RandomState = None,
) -> Trajectories:
    r"""Series $x_c(t) = \frac12 (\sin(2 \pi f_c t + \phi_c) + 1)$, $t = 0, \dots, T - 1$.

    Args:
        n: number of series.
        n_times: T.
        dim: number of channels, each with a frequency and a phase of its own.
        frequency: range of f, uniform, in cycles per step.
        phase: range of the phase, uniform, in radians.
        random_state: seed or generator.

    Returns:
        n series in [0, 1].

    Raises:
        InputError: for sizes below 1, or ranges that are none.

    References:
        Yoon, Jarrett, van der Schaar, "Time-series generative adversarial networks", NeurIPS 2019.

    Example:
        >>> make_sines(3, random_state=0)
        Trajectories(3 paths, 24 times, dim 5)
    """
    for value, name in ((n, "n"), (n_times, "n_times"), (dim, "dim")):
        require_integer(value, name, least=1)
    for (low, high), name in ((frequency, "frequency"), (phase, "phase")):
        if not low <= high:
            raise InputError(f"{name} must be a pair (low, high), got {(low, high)}")
    rng = np.random.default_rng(seed_from(random_state))
    turns = rng.uniform(*frequency, (n, 1, dim))
    shift = rng.uniform(*phase, (n, 1, dim))
    steps = np.arange(n_times, dtype=np.float64)
    waves = np.sin(2 * np.pi * turns * steps[None, :, None] + shift)
    return Trajectories(steps, (waves + 1) / 2)
