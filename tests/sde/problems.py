"""Test problems with known solutions, and Brownian paths that can be coarsened."""

from __future__ import annotations

import math

import numpy as np
import torch

from trajinfer import sde

A, B, X0 = 1.0, 0.8, 0.3


class P1(sde.SDE):
    """dX = -(a + b^2 X)(1 - X^2) dt + b (1 - X^2) dW."""

    dim = noise_dim = 1
    commutes = True

    def f(self, t, y, context=None):
        return -(A + B**2 * y) * (1 - y * y)

    def g(self, t, y, context=None):
        return B * (1 - y * y)

    @staticmethod
    def start(n):
        return torch.full((n, 1), X0, dtype=torch.float64)

    @staticmethod
    def exact(w, t=1.0):
        e = torch.exp(-2 * A * t + 2 * B * w)
        return ((1 + X0) * e + X0 - 1) / ((1 + X0) * e + 1 - X0)


class P1Stratonovich(P1):
    sde_type = "stratonovich"

    def f(self, t, y, context=None):
        return -A * (1 - y * y)


class P2(sde.SDE):
    """dX = (sin 2X - X + cos 3t) dt + (0.5 + 0.4 sin 4t) dW."""

    dim = noise_dim = 1
    noise_type = "additive"
    sde_type = "ito"

    def f(self, t, y, context=None):
        return torch.sin(2 * y) - y + torch.cos(3 * t)

    def g(self, t, y, context=None):
        return ((0.5 + 0.4 * torch.sin(4 * t)) * torch.ones_like(y))[..., None]

    @staticmethod
    def start(n):
        return torch.full((n, 1), 0.2, dtype=torch.float64)


class P3(sde.SDE):
    """Geometric Brownian motion in Stratonovich form: dX = 0.3 X dt + 0.5 X o dW."""

    dim = noise_dim = 1
    commutes = True
    sde_type = "stratonovich"

    def f(self, t, y, context=None):
        return 0.3 * y

    def g(self, t, y, context=None):
        return 0.5 * y

    @staticmethod
    def start(n):
        return torch.ones((n, 1), dtype=torch.float64)

    @staticmethod
    def exact(w, t=1.0):
        return torch.exp(0.3 * t + 0.5 * w)


class Decay(sde.SDE):
    """dX = -c X dt + noise in two coordinates, c a parameter; of any type and calculus."""

    dim = noise_dim = 2
    commutes = True

    def __init__(self, noise_type, sde_type):
        super().__init__()
        self.noise_type, self.sde_type = noise_type, sde_type
        self.rate = torch.nn.Parameter(torch.tensor(0.3))

    def f(self, t, y, context=None):
        return -self.rate * y

    def g(self, t, y, context=None):
        if self.noise_type == "diagonal":
            return 0.1 + 0.1 * self.rate * y
        return (0.1 * self.rate * torch.eye(2, device=y.device)).expand(len(y), 2, 2)


def brownian(n_paths, n_steps, m=1, *, seed=0, horizon=1.0):
    """W and H of `n_steps` equal steps, (B, n_steps, M)."""
    h = horizon / n_steps
    gen = torch.Generator().manual_seed(seed)
    z = torch.randn(2, n_paths, n_steps, m, generator=gen, dtype=torch.float64)
    return z[0] * math.sqrt(h), z[1] * math.sqrt(h / 12)


def coarsen(w, h):
    """W and H of steps twice as long."""
    w1, w2, h1, h2 = w[:, ::2], w[:, 1::2], h[:, ::2], h[:, 1::2]
    return w1 + w2, (h1 + h2) / 2 + (w1 - w2) / 4


def coarsened(w, h, n_steps):
    while w.shape[1] > n_steps:
        w, h = coarsen(w, h)
    return w, h


def slope(errors):
    """Order of convergence from errors at step sizes that halve."""
    return -np.polyfit(np.arange(len(errors)), np.log2(np.asarray(errors)), 1)[0]


def rms(x):
    return float(x.square().mean().sqrt())
