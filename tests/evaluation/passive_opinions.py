"""Agents who follow a crowd that does not notice them: exact new paths of one realisation."""

from dataclasses import dataclass

import numpy as np
import torch

from trajinfer.datasets import SeriesSplit
from trajinfer.processes import OpinionDynamics

STEP = 0.01


@dataclass
class Crowd:
    """A realisation (N, T) and the drift at the places of its agents."""

    paths: np.ndarray
    drift: np.ndarray

    @classmethod
    def of(cls, split: SeriesSplit):
        values = np.concatenate([split.train.values, split.hold_out.values])[:, :, 0]
        process = OpinionDynamics(len(values), 6.0, 0.2, volatility=0.1, n_grid=4096)
        now = torch.tensor(0.0)
        with torch.no_grad():
            drift = process.drift(now, torch.from_numpy(values.T.copy()), process.values())
        return cls(values, drift.numpy().T)

    def follow(self, n: int, seed: int, *, noise: float = 1.0, pull: float = 1.0):
        """n paths (n, T, 1) with the noise and the drift multiplied by factors."""
        rng = np.random.default_rng(seed)
        x = rng.uniform(-2, 2, n)
        paths = [x]
        for t in range(self.paths.shape[1] - 1):
            order = np.argsort(self.paths[:, t])
            drift = np.interp(x, self.paths[order, t], self.drift[order, t])
            x = x + pull * drift * STEP + noise * 0.1 * np.sqrt(STEP) * rng.normal(size=n)
            paths.append(x)
        return np.stack(paths, axis=1)[:, :, None]
