"""Fits whose data grow: each makes data of n items and gives the fit to be measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from trajinfer import (
    IrregularSeries,
    MarkovJumpProcess,
    NeuralSDEForecaster,
    SchrodingerBridge,
    Snapshots,
    jumps,
)
from trajinfer.processes import OrnsteinUhlenbeck

Prepare = Callable[[int], Callable[[], Any]]


def forecaster(n: int) -> Callable[[], Any]:
    """N series of ten rows and one channel; the networks see them once."""
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 10, (n, 10)), axis=1)
    values = rng.normal(size=(n, 10, 1)).cumsum(axis=1)
    series = IrregularSeries.from_arrays(times, values)
    return lambda: NeuralSDEForecaster(max_epochs=1, horizon=3.0, random_state=0).fit(series)


def jump_process(n: int) -> Callable[[], Any]:
    """N paths of two states seen at ten times."""
    rates = [[-1.0, 1.0], [2.0, -2.0]]
    paths = jumps.simulate(rates, [0.5, 0.5], n, 0.3 * np.arange(10), random_state=0)
    return lambda: MarkovJumpProcess(2, method="mle", random_state=0).fit(paths)


def bridge(n: int) -> Callable[[], Any]:
    """Three snapshots of n cells together, in two coordinates."""
    rng = np.random.default_rng(0)
    cells = Snapshots([0, 1, 2], [rng.normal(k, 1.0, (n // 3, 2)) for k in range(3)])
    reference = OrnsteinUhlenbeck(dim=2)
    return lambda: SchrodingerBridge(reference, volatility=1.0, random_state=0).fit(cells)


JOBS: Mapping[str, Prepare] = MappingProxyType(
    {
        "`NeuralSDEForecaster`, one pass": forecaster,
        '`MarkovJumpProcess(method="mle")`': jump_process,
        "`SchrodingerBridge`, cells": bridge,
    }
)
