"""Samplers, plans, inversion, densities and conditions beside exact answers and beside UniPC.

    python examples/reproduce/sampler_accuracy.py [RESULT ...]

Needs `pip install diffusers` for the rows beside UniPC-2, which are left out without it. Two laws
have exact denoisers: "ring", eight parts in the plane, and "sixteen", five parts in 16 dimensions.
Errors are root mean squares of the end of every path against the exact flow (single steps of order
three, 300 of them) from the same 1024 starts. Every row is a measure, its bar and what was found.
Results: plain, jump, plan, orders, inversion, density, residual, curvature, smc, reverting.
"""

import importlib.util
import sys
import warnings
from itertools import pairwise

import numpy as np
import torch
from scipy.stats import spearmanr

from trajinfer.scores import (
    GaussianMixture,
    LinearObservation,
    condition,
    invert,
    langevin,
    log_likelihood,
    sample,
    score_fpe_residual,
    search_plan,
)

STARTS = 1024


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


LAWS = {"ring": (ring(), (40.0, 0.01)), "sixteen": (sixteen(), (40.0, 0.02))}


def rms(difference):
    """Root of the mean squared length of rows."""
    return difference.square().sum(1).mean().sqrt().item()


def sliced(x, y, n=200):
    """Sliced Wasserstein distance of order 2 between samples of one size."""
    directions = torch.randn(
        x.shape[1], n, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    directions = directions / directions.norm(dim=0)
    gaps = (x @ directions).sort(0).values - (y @ directions).sort(0).values
    return gaps.square().mean().sqrt().item()


class Ends:
    """Starts of a law at rho_max, and where the exact flow takes them."""

    def __init__(self, name, seed=0):
        self.law, self.levels = LAWS[name]
        generator = torch.Generator().manual_seed(seed)
        self.start = self.law.linear.draw(STARTS, self.levels[0], generator)
        exact = {"method": "singlestep", "order": 3, "n_evaluations": 900, "grid": "lambda"}
        self.end = self.sampled(**exact, jump=False)

    def sampled(self, **settings):
        """Ends of a sampler from the same starts."""
        return sample(self.law, start=self.start, levels=self.levels, **settings)

    def error(self, **settings):
        """Their error."""
        return rms(self.sampled(**settings) - self.end)

    def unipc(self, n):
        """The error of UniPC-2 of diffusers on the grid "edm" of n evaluations."""
        from diffusers import UniPCMultistepScheduler

        high, low = (level ** (1 / 7) for level in self.levels)
        rhos = torch.linspace(high, low, n + 1, dtype=torch.float64) ** 7
        scheduler = UniPCMultistepScheduler(solver_order=2, prediction_type="sample")
        scheduler.set_timesteps(n)
        scheduler.sigmas, scheduler.timesteps = rhos, torch.arange(n)
        x = self.start / (1 + rhos[0] ** 2).sqrt()
        for i in range(n):
            y = x * (1 + rhos[i] ** 2).sqrt()
            x = scheduler.step(self.law.denoise(y, float(rhos[i])), i, x).prev_sample
        return rms(x * (1 + rhos[-1] ** 2).sqrt() - self.end)


def has_unipc():
    return importlib.util.find_spec("diffusers") is not None


def plain():
    """Order two with corrector, no jump, on the same grid."""
    for name in LAWS if has_unipc() else ():
        ends = Ends(name)
        for n in (10, 20, 40):
            ratio = ends.error(n_evaluations=n, order=2, jump=False) / ends.unipc(n)
            yield f"plain family over UniPC-2, {name}, {n} evaluations", "<= 1.15", ratio


def jump():
    """Default settings."""
    for name in LAWS if has_unipc() else ():
        ends = Ends(name)
        for n in (8, 10):
            bar = "<= .65" if n == 10 else ""
            ratio = ends.error(n_evaluations=n) / ends.unipc(n)
            yield f"default settings over UniPC-2, {name}, {n} evaluations", bar, ratio


def plan():
    """Plans searched on other starts."""
    for name, n in (("ring", 5), ("ring", 8), ("ring", 10), ("sixteen", 5)):
        if has_unipc():
            ends = Ends(name, seed=1)
            found = search_plan(ends.law, n, levels=ends.levels)
            ratio = ends.error(n_evaluations=n, plan=found) / ends.unipc(n)
            yield f"searched plan over UniPC-2, {name}, {n} evaluations", "<= .6", ratio


def orders():
    """Slopes of the median error from 80 to 160 steps, uniform in lam, ring, rho 80 to .002.

    The mean square is that of the few starts near the border of two parts, which have no order at
    these steps.
    """
    law = LAWS["ring"][0]
    start = law.sample(STARTS, 80.0, random_state=3)
    settings = {"levels": (80.0, 0.002), "start": start, "grid": "lambda", "jump": False}
    end = sample(law, method="singlestep", order=3, n_evaluations=1800, **settings)
    for order, corrector in ((1, False), (2, False), (3, False), (2, True)):
        few, many = (
            (sample(law, order=order, corrector=corrector, n_evaluations=n, **settings) - end)
            .norm(dim=1)
            .median()
            .item()
            for n in (80, 160)
        )
        name = f"slope of order {order}" + " with corrector" * corrector
        yield name, f"{order + corrector} +- .2", np.log2(few / many)


def inversion():
    """Round trip, and the error over that of order one."""
    for name in LAWS:
        ends = Ends(name)
        for n in (20, 40):
            last, state = ends.sampled(
                n_evaluations=n, method="bdia", return_state=True, jump=False
            )
            first = ends.error(n_evaluations=n, order=1, corrector=False, jump=False)
            back = rms(invert(ends.law, state) - ends.start) / ends.levels[0]
            yield f"round trip, {name}, {n} evaluations", "<= 1e-11", back
            bar = f"<= {0.6 if n == 20 else 0.15}" if name == "ring" else ""
            yield f"inversion over order 1, {name}, {n}", bar, rms(last - ends.end) / first


def density():
    """Rms per point over 100 points."""
    bars = {"ring": (3e-3, 2e-4), "sixteen": (0.015, 1.5e-3)}
    for name, (law, _) in LAWS.items():
        high, low = (30.0, 0.02) if name == "ring" else (40.0, 0.02)
        x = law.sample(100, low, random_state=5)
        for n, bar in zip((100, 200), bars[name]):
            got = log_likelihood(law, x, n_evaluations=n, levels=(high, low))
            off = (got - law.log_prob(x, low)).square().mean().sqrt().item()
            yield f"log-density, {name}, {n} evaluations", f"<= {bar}", off


def wrong(kind, size, truth, other):
    """A denoiser whose scores no density has, or another density's."""

    def denoise(y, rho):
        level = torch.as_tensor(rho, dtype=y.dtype)
        s = (truth.denoise(y, rho) - y) / level.square()
        if kind == "bump":
            s = s + size * torch.sin(2 * y / (1 + level.square()).sqrt()) / level
        elif kind == "scale":
            s = (1 + size) * s
        else:
            s = (1 - size) * s + size * (other.denoise(y, rho) - y) / level.square()
        return y + level.square() * s

    return denoise


def residual():
    """Residuals of eight wrong scores beside the distance of their ODE from their SDE."""
    truth = GaussianMixture([0.4, 0.6], [[-1.0], [1.2]], [[[0.04]], [[0.09]]])
    other = GaussianMixture([0.7, 0.3], [[-0.5], [2.0]], [[[0.09]], [[0.04]]])
    x, rhos = truth.sample(300, random_state=0), np.geomspace(0.05, 10, 12)
    kinds = [(k, e) for k in ("bump", "scale") for e in (0.1, 0.2, 0.4)]
    kinds += [("other", 0.3), ("other", 1.0)]
    start = truth.sample(3000, 20.0, random_state=1)
    settings = {"start": start, "levels": (20.0, 0.03), "n_evaluations": 200, "grid": "lambda"}
    sizes, gaps = [], []
    for kind, eps in kinds:
        model = wrong(kind, eps, truth, other)
        sizes.append(score_fpe_residual(model, x, rhos).item())
        ode, sde = (
            sample(model, churn=churn, order=2, random_state=0, **settings) for churn in (0.0, 1.0)
        )
        gaps.append(sliced(ode, sde))
    yield "rank correlation of residual and gap", ">= .8", spearmanr(sizes, gaps).statistic
    yield "residual of another density's score", "<= 1e-3", sizes[-1]


def curvature():
    """The law after moves at rho .05 from the right parts in the wrong shape."""
    law, rho = LAWS["sixteen"][0], 0.05
    n = 2000
    part = law.sample(n, 0.0, random_state=0)
    centre = law.means[law.responsibilities(part).argmax(1)]
    noise = torch.randn(n, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    start, truth = centre + 0.3 * noise, law.sample(n, rho, random_state=2)
    long = sliced(langevin(law, start, rho, n_steps=40, step=0.6, random_state=0), truth)
    short = langevin(law, start, rho, n_steps=10, step=0.3, curvature="damped", random_state=0)
    yield (
        "10 damped moves over 40 plain ones, distance of laws",
        "<= 1",
        sliced(short, truth) / long,
    )


def smc():
    """Six observations of sixteen coordinates, and guidance beside: medians over five seeds."""
    law = LAWS["sixteen"][0]
    truth = law.sample(1, random_state=7)[0]
    H = np.random.default_rng(3).normal(size=(6, 16)) / 4
    noise = torch.randn(6, generator=torch.Generator().manual_seed(1))
    observation = LinearObservation(H, torch.as_tensor(H) @ truth + 0.3 * noise, 0.09)
    posterior, exact = law.posterior(observation), law.log_evidence(observation)
    settings = {"n_particles": 2000, "n_steps": 100}
    guided = condition(law, observation, method="guidance", random_state=0, **settings)
    far = (guided.covariance() - posterior.covariance).norm().item()
    found = []
    for seed in range(5):
        given = condition(law, observation, random_state=seed, **settings)
        off = (given.mean() - posterior.mean) / posterior.covariance.diagonal().sqrt()
        near = (given.covariance() - posterior.covariance).norm().item()
        evidence = abs(given.log_evidence - exact)
        found.append([off.square().mean().sqrt().item(), evidence, given.ess.min(), near / far])
    names = ("mean, in deviations", "log evidence", "least share of particles")
    names = (*names, "covariance, over that of guidance")
    yield from zip(names, ("<= .08", "<= .3", ">= .1", "<= .2"), np.median(found, axis=0))


def reverting():
    """Ten evaluations beside 50 steps of Euler in the own time of a path that reverts to a mean."""
    law, mean, scale, n = LAWS["ring"][0], torch.tensor([1.0, -1.0]).double(), 1.5, 8000
    high, low = 11.0, 0.02
    truth = law.sample(n, random_state=5)
    ours = sample(law, n, levels=(high, low), n_evaluations=10, random_state=0)
    generator = torch.Generator().manual_seed(0)
    ends = (0.5 * np.log1p((rho / scale) ** 2) for rho in (high, low))
    x = mean + scale * torch.randn(n, 2, dtype=torch.float64, generator=generator)
    for late, early in pairwise(np.linspace(*ends, 51)):
        alpha, variance, h = np.exp(-late), -(scale**2) * np.expm1(-2 * late), late - early
        clean = law.denoise(mean + (x - mean) / alpha, float(np.sqrt(variance) / alpha))
        score = (mean + alpha * (clean - mean) - x) / variance
        noise = torch.randn(n, 2, dtype=torch.float64, generator=generator)
        x = x + h * (x - mean + 2 * scale**2 * score) + scale * np.sqrt(2 * h) * noise
    ratio = sliced(law.denoise(ours, low), truth) / sliced(x, truth)
    yield "10 evaluations over 50 of Euler, distance of laws", "<= .5", ratio


RESULTS = (
    plain,
    jump,
    plan,
    orders,
    inversion,
    density,
    residual,
    curvature,
    smc,
    reverting,
)


def main(names):
    """Print a row per measure."""
    for result in RESULTS:
        if not names or result.__name__ in names:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                for measure, bar, value in result():
                    print(f"{measure:<55} {bar:>10} {value:10.3g}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
