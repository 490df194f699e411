"""The Schroedinger bridge between two Gaussians under an affine reference, in closed form."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import expm

from trajinfer.data import Snapshots
from trajinfer.processes import AffineDrift


def root(matrix):
    """Symmetric square root."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values)) @ vectors.T


class GaussianBridge(NamedTuple):
    """dX = A (X - m) dt + S dB between N(mu0, S0) at 0 and N(mu1, S1) at T.

    Formulas: Bunne, Hsieh, Cuturi, Krause (arXiv 2202.05722); Zhang and Stumpf (NeurIPS 2025).
    """

    A: np.ndarray
    m: np.ndarray
    sigma: np.ndarray
    mu0: np.ndarray
    S0: np.ndarray
    mu1: np.ndarray
    S1: np.ndarray
    T: float = 1.0

    @classmethod
    def of(cls, A, m, sigma, mu0, S0, mu1, S1, T=1.0):
        """From nested lists and numbers."""
        A, S0, S1 = (np.atleast_2d(np.asarray(v, dtype=float)) for v in (A, S0, S1))
        dim = len(A)
        vectors = [np.broadcast_to(np.asarray(v, float), (dim,)) for v in (m, sigma, mu0, mu1)]
        return cls(A, vectors[0], vectors[1], vectors[2], S0, vectors[3], S1, T)

    @property
    def Q(self):
        """Covariance per unit of time."""
        return np.diag(self.sigma**2)

    def flow(self, t):
        """E(t) = exp(A t)."""
        return expm(self.A * t)

    def spread(self, t):
        """Phi(t) = int_0^t E(s) Q E(s)^T ds, by a block exponential (Van Loan)."""
        dim = len(self.A)
        block = np.block([[-self.A, self.Q], [np.zeros((dim, dim)), self.A.T]])
        exponential = expm(block * t)
        return exponential[dim:, dim:].T @ exponential[:dim, dim:]

    @property
    def C0T(self):
        """Covariance of start and end."""
        E, R = self.flow(self.T), root(self.spread(self.T))
        R1, eye = np.linalg.inv(R), np.eye(len(R))
        a, b = R1 @ E @ self.S0 @ E.T @ R1, R1 @ self.S1 @ R1
        a_half = root(a)
        c = a_half @ root(a_half @ b @ a_half + eye / 4) @ np.linalg.inv(a_half) - eye / 2
        return np.linalg.inv(E) @ R @ c @ R

    def gains(self, t):
        """H and G with E[x_t | x_0, x_T] = H x_0 + G x_T (centred at m)."""
        G = self.spread(t) @ self.flow(self.T - t).T @ np.linalg.inv(self.spread(self.T))
        return self.flow(t) - G @ self.flow(self.T), G

    def mean(self, t):
        """Mean at time t."""
        H, G = self.gains(t)
        return self.m + H @ (self.mu0 - self.m) + G @ (self.mu1 - self.m)

    def cov(self, t):
        """Covariance at time t."""
        H, G = self.gains(t)
        omega = self.spread(t) - G @ self.flow(self.T - t) @ self.spread(t)
        cross = H @ self.C0T @ G.T
        return omega + H @ self.S0 @ H.T + G @ self.S1 @ G.T + cross + cross.T

    def cov_with_start(self, t):
        """Cov(x_0, x_t)."""
        H, G = self.gains(t)
        return self.S0 @ H.T + self.C0T @ G.T

    def cov_with_end(self, t):
        """Cov(x_t, x_T)."""
        H, G = self.gains(t)
        return H @ self.C0T + G @ self.S1

    def drift(self, t):
        """B and v with drift v + B (x - mean(t))."""
        left = self.T - t
        M = self.Q @ self.flow(left).T @ np.linalg.inv(self.spread(left))
        mean = self.mean(t)
        B = self.A + M @ (self.cov_with_end(t).T @ np.linalg.inv(self.cov(t)) - self.flow(left))
        v = self.A @ (mean - self.m) + M @ (self.mu1 - self.m - self.flow(left) @ (mean - self.m))
        return B, v

    def reference(self, **options):
        """The reference as a process, its parameters held fixed."""
        return AffineDrift(len(self.A), self.A, -self.A @ self.m, volatility=self.sigma, **options)

    def snapshots(self, step=1 / 3, reach=5.0):
        """The two Gaussians as weighted grid points."""
        ends = (grid(self.mu0, self.S0, step, reach), grid(self.mu1, self.S1, step, reach))
        points, weights = zip(*ends, strict=True)
        return Snapshots([0.0, self.T], points, weights)


def grid(mean, cov, step=1 / 3, reach=5.0):
    """A Gaussian as grid points, `step` standard deviations apart out to `reach`, with weights."""
    mean, cov = np.atleast_1d(mean), np.atleast_2d(cov)
    axis = step * np.arange(-round(reach / step), round(reach / step) + 1)
    z = np.stack(np.meshgrid(*[axis] * len(mean), indexing="ij"), axis=-1).reshape(-1, len(mean))
    weights = np.exp(-0.5 * (z**2).sum(axis=1))
    return mean + z @ np.linalg.cholesky(cov).T, weights / weights.sum()


def bures_wasserstein2(mean0, cov0, mean1, cov1):
    """Squared Bures-Wasserstein distance of two Gaussians."""
    half = root(cov0)
    cross = root(half @ cov1 @ half)
    return float(((mean0 - mean1) ** 2).sum() + np.trace(cov0 + cov1 - 2 * cross))


ROTATION = [[-0.5, 2.0], [-2.0, -0.5]]
CASES = {
    "Brownian": GaussianBridge.of(0.0, 0.0, 1.0, 0.0, 1.0, 2.0, 4.0),
    "contracting": GaussianBridge.of(-1.0, 0.5, 1.0, 0.0, 1.0, 2.0, 4.0),
    "expanding": GaussianBridge.of(1.0, 0.5, 0.5, 0.0, 1.0, 2.0, 4.0),
    "rotating": GaussianBridge.of(
        ROTATION, 0.0, 0.5, [1, 0], np.diag([0.25, 0.04]), [-1, 0.5], [[0.2, 0.05], [0.05, 0.3]]
    ),
}
# Values at t = 1/2 given in the literature's form: mean, covariance, C0T, B, v.
TABLE = {
    "Brownian": (1.0, 2.280776, 1.561553, 0.438447, 2.0),
    "contracting": (0.943409, 1.802747, 1.496932, 0.430663, 1.919035),
    "expanding": (0.943409, 1.771626, 1.858488, 0.649899, 1.919035),
    "rotating": (
        [-0.203961, -0.684881],
        [[0.171920, -0.071705], [-0.071705, 0.233231]],
        [[-0.072952, -0.166037], [0.022663, -0.010858]],
        [[-0.410518, 1.929092], [-2.070908, -0.380925]],
        [-2.855577, 0.675279],
    ),
}
