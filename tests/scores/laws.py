"""Laws with known answers."""

import numpy as np

from trajinfer.scores import GaussianMixture


def ring():
    """Eight parts on a circle of radius 2, thin along the radius."""
    k = np.arange(8)
    angle = 2 * np.pi * k / 8
    radial = np.stack([np.cos(angle), np.sin(angle)], 1)
    tangent = np.stack([-np.sin(angle), np.cos(angle)], 1)
    covariance = 0.08**2 * radial[:, :, None] * radial[:, None, :]
    covariance += 0.3**2 * tangent[:, :, None] * tangent[:, None, :]
    return GaussianMixture(1 + k % 3, 2 * radial, covariance)


def sixteen():
    """Five parts in sixteen dimensions, standard deviations .05 to 1."""
    rng = np.random.default_rng(1)
    means, covariances = rng.normal(size=(5, 16)), []
    for _ in range(5):
        axes = np.linalg.qr(rng.normal(size=(16, 16)))[0]
        covariances.append(axes @ np.diag(np.geomspace(0.05, 1, 16) ** 2) @ axes.T)
    return GaussianMixture(rng.uniform(0.5, 1.5, 5), means, np.stack(covariances))


def rms(difference):
    """Root of the mean squared length of rows."""
    return difference.square().sum(1).mean().sqrt().item()
