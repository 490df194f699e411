r"""Answers of every method beside closed forms and quadrature, with the error that each may have.

    python examples/reproduce/asked_accuracy.py \
        [exact] [exits] [paths] [equations] [variance] [stays]

A row tells what was asked, the error found, the largest error allowed and CPU seconds; rows beyond
it are marked. Potentials, walls and chains are drawn at random beside the usual ones.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse
import torch
from scipy.integrate import quad
from scipy.stats import kstest, norm

from trajinfer import functionals as F
from trajinfer.functionals.methods.grid import Grid
from trajinfer.functionals.methods.grid_values import GridQuestions
from trajinfer.processes import (
    Brownian,
    DoubleWell,
    GeometricBrownian,
    OrnsteinUhlenbeck,
    PolynomialDrift,
    simulate,
)

WELL = DoubleWell(1.0, 1.0, volatility=0.7)
REACH = F.hitting_probability(F.above(1.0), before=F.below(-1.0))
LEAVE = F.hitting_time(F.outside(-1, 1))
STAY = F.Functional(terminal=1.0, stop={F.outside(-1, 1): 0.0}, horizon=0.5)
UNIT = OrnsteinUhlenbeck(1.0, 0.0, volatility=np.sqrt(2))
INSIDE = np.linspace(-0.99, 0.99, 101)[:, None]
Row = tuple[str, float, float]


def exact() -> Iterator[Row]:
    """Scale and speed measures, and chains."""
    for seed in range(3):
        process, potential = _drawn_line(seed)
        low, high, x = -1.1, 0.9, 0.2
        question = F.hitting_probability(F.above(high), before=F.below(low))
        found = _value(question, process, [[x]])[0]
        truth = _climb(potential, low, x) / _climb(potential, low, high)
        yield f"committor, drawn cubic drift {seed}", abs(found / truth - 1), 1e-6
        green = _exit_by_quadrature(potential, process, low, high, x)
        found = _value(F.hitting_time(F.outside(low, high)), process, [[x]])[0]
        yield f"mean exit, drawn cubic drift {seed}", abs(found / green - 1), 1e-6
    for barrier in (200.0, 2000.0):
        steep = DoubleWell(1.0, 1.0, volatility=np.sqrt(0.5 / barrier))
        found = _value(REACH, steep, [[-0.5], [0.0], [0.5]])
        off = max(abs(found[1] - 0.5) / 0.5, abs(found[0] + found[2] - 1))
        yield f"committor, barrier {barrier:g}", off, 1e-6
    for seed in range(3):
        rng = np.random.default_rng(seed)
        rates = rng.exponential(size=(12, 12)) * (rng.random((12, 12)) < 0.5)
        np.fill_diagonal(rates, 0.0)
        rates[np.arange(12), (np.arange(12) + 1) % 12] += 0.1
        rates -= np.diag(rates.sum(axis=1))
        inner = np.arange(1, 11)
        system = rates[np.ix_(inner, inner)]
        times = np.linalg.solve(system, -np.ones(10))
        found = _value(F.hitting_time(F.states([0, 11])), rates, None, inner.tolist())
        yield f"mean time, drawn chain {seed}", np.abs(found / times - 1).max(), 1e-10
        fates = np.linalg.solve(system, -rates[inner, 11])
        question = F.hitting_probability(F.states(11), before=F.states(0))
        found = _value(question, rates, None, inner.tolist())
        yield f"committor, drawn chain {seed}", np.abs(found - fates).max(), 1e-10
    begun = time.process_time()
    yield "100 000 states on a ring, mean time", _ring(100_001), 1e-8
    yield "  its CPU seconds", time.process_time() - begun, 5.0


def exits() -> Iterator[Row]:
    """Exits between the steps of 100 000 paths."""
    paths = {"n": 100_000, "random_state": 0}
    line = Brownian(volatility=1.0)
    for ways in ("bridge", "weights"):
        answer = F.estimate(STAY, line, [0.3], step=1 / 8, exits=ways, **paths)
        yield f"Brownian survival, {ways}, step 1/8, s.e.", _off(answer, 0.6119465), 4.0
        answer = F.estimate(LEAVE, UNIT, [0.0], step=1 / 32, exits=ways, **paths)
        truth = 0.5957493
        yield f"OU exit, exact steps, {ways}, relative", abs(answer.value[0] / truth - 1), 5e-3
        frozen = _frozen(UNIT)
        answer = F.estimate(LEAVE, frozen, [0.0], step=1 / 32, exits=ways, **paths)
        yield f"OU exit, Euler steps, {ways}, relative", abs(answer.value[0] / truth - 1), 0.04
    answer = F.estimate(
        _call(), GeometricBrownian(0.05, volatility=0.2), [100.0], step=1 / 12, **paths
    )
    yield "up-and-out call, 12 steps, s.e.", _off(answer, 1.1760654), 4.0
    slow = OrnsteinUhlenbeck(2.0, 0.5, volatility=0.8)
    question = F.hitting_time(F.outside(-0.3, 1.2))
    truth = _value(question, slow, [[0.2]])[0]
    answer = F.estimate(question, slow, [0.2], step=1 / 32, **paths)
    yield "other OU and walls, exact steps, relative", abs(answer.value[0] / truth - 1), 5e-3


def paths() -> Iterator[Row]:
    """Least squares along paths, with the noise handed over and without."""
    truth = F.ValueFunction(REACH).fit(WELL, INSIDE).predict(INSIDE)
    starts = np.random.default_rng(0).uniform(-1, 1, (2000, 1))
    words = {"features": 15, "n_paths": 2000, "step": 0.005, "random_state": 1}
    model = F.ValueFunction(REACH, method="lstd", **words).fit(WELL, starts)
    known = _rms(model.predict(INSIDE), truth)
    yield "committor, 2000 paths, noise handed over, rms", known, 1e-3
    recorded = simulate(WELL, starts, np.arange(0, 2.0, 0.005), 2000, random_state=1)
    plain = F.ValueFunction(REACH, method="lstd", features=15).fit(recorded, starts)
    yield "  its share of the error without", known / _rms(plain.predict(INSIDE), truth), 0.1
    many = np.random.default_rng(1).uniform(-1, 1, (50_000, 1))
    recorded = simulate(WELL, many, np.arange(41) * 0.005, 50_000, random_state=2)
    model = F.ValueFunction(REACH, method="lstd", features=9).fit(recorded, many[:500])
    yield "committor, 50 000 recorded paths, rms", _rms(model.predict(INSIDE), truth), 0.01
    for count, most in ((4000, 0.008), (20_000, 0.005)):
        yield f"ball in ten dimensions, {count} paths, rms", _ball("lstd", count), most


def equations() -> Iterator[Row]:
    """Galerkin, grids, densities."""
    starts = np.random.default_rng(0).uniform(-1, 1, (500, 1))
    truth = F.ValueFunction(REACH).fit(WELL, INSIDE).predict(INSIDE)
    for count, most in ((9, 1e-4), (15, 1e-6)):
        begun = time.process_time()
        model = F.ValueFunction(REACH, method="galerkin", features=count, random_state=0)
        found = model.fit(WELL, starts).predict(INSIDE)
        spent = time.process_time() - begun
        yield f"galerkin, {count} functions", np.abs(found - truth).max(), most
        yield "  its CPU seconds", spent, 0.1
    begun = time.process_time()
    yield "oblique walls, 100 features", _oblique("galerkin", features=100), 2e-4
    yield "  its CPU seconds", time.process_time() - begun, 0.2
    begun = time.process_time()
    yield "ball in ten dimensions, 300 features, rms", _ball("galerkin", 300), 2e-3
    yield "  its CPU seconds", time.process_time() - begun, 1.0
    coarse, fine = (_oblique("grid", resolution=cells) for cells in (41, 81))
    yield "oblique walls on a grid, 1.5 - order", 1.5 - np.log2(coarse / fine), 0.0
    errors = [_density(cells) for cells in (101, 201)]
    yield "OU density, 201 cells, L1", errors[1][0], 5e-4
    yield "  1.9 - its order", 1.9 - np.log2(errors[0][0] / errors[1][0]), 0.0
    yield "  mass", errors[1][1], 1e-12
    yield "  below zero", errors[1][2], 0.0
    for cells, golden in ((81, 2.6e-5), (161, 6.5e-6), (321, 1.6e-6)):
        yield f"Brownian survival, {cells} cells", _survival(cells), 2 * golden


def variance() -> Iterator[Row]:
    """Controls and tilts, as variances left."""
    settings: dict[str, Any] = {"n": 2000, "step": 1 / 128, "random_state": 0}
    plain = F.estimate(REACH, WELL, [0.3], **settings)
    controlled = F.estimate(REACH, WELL, [0.3], control="auto", **settings)
    yield "control, committor", (controlled.std_error / plain.std_error)[0] ** 2, 0.01
    call = F.expected(lambda x: np.maximum(x[:, 0] - 100, 0), 1.0, discount=0.05)
    motion = GeometricBrownian(0.05, volatility=0.2)
    settings["step"] = 1 / 50
    plain = F.estimate(call, motion, [100.0], **settings)
    controlled = F.estimate(call, motion, [100.0], control="auto", **settings)
    yield "control, call", (controlled.std_error / plain.std_error)[0] ** 2, 0.01
    yield "  its error, s.e.", _off(controlled, 10.4505836), 4.0
    rare = F.hitting_probability(F.above(1.7), horizon=0.3)
    truth = 2 * norm.sf(1.7 / np.sqrt(0.3))
    words: dict[str, Any] = {"n": 20_000, "step": 0.3 / 16, "tilt": "auto", "random_state": 0}
    answer = F.estimate(rare, Brownian(volatility=1.0), [0.0], **words)
    share = answer.std_error[0] ** 2 / (truth * (1 - truth) / 20_000)
    yield f"tilt, P = {truth:.4f}", share, 0.02
    yield "  its error, s.e.", _off(answer, truth), 4.0


def stays() -> Iterator[Row]:
    """Excursions of smooth Gaussian processes, and counted ones."""
    law = F.excursion_law(lambda t: 1 / torch.cosh(t / 2))
    found = np.interp([1.0, 2.0, 4.0, 8.0], law.above.ts, 1 - law.above.survival)
    yield "stays above 0, law", np.abs(found - [0.0572, 0.1838, 0.4323, 0.7305]).max(), 0.02
    yield "  1 - its sum", abs(1 - (1 - law.above.survival[-1])), 1e-3
    drawn = law.above.sample(20_000, random_state=0)
    sums = _geometric_sums(20_000)
    apart = kstest(drawn, sums)
    yield "  KS of draws and geometric sums", apart.statistic, 1.63 * np.sqrt(2 / 20_000)
    law = F.excursion_law(lambda t: 1 / torch.cosh(t / 2), 1.0)
    above = np.interp([1.0, 2.0, 4.0], law.above.ts, 1 - law.above.survival)
    below = np.interp([1.0, 2.0, 4.0], law.below.ts, 1 - law.below.survival)
    yield "stays above 1", np.abs(above - [0.109, 0.357, 0.719]).max(), 0.02
    yield "stays below 1", np.abs(below - [0.023, 0.076, 0.180]).max(), 0.02
    yield "counted stays in gappy series, |coverage - .9|", abs(_counted(100) - 0.9), 0.05


def _value(question: F.Functional, process: Any, X: Any, at: Any = None) -> np.ndarray:
    return F.ValueFunction(question).fit(process, X).predict(X if at is None else at)


def _off(answer: F.Estimate, truth: float) -> float:
    return float(np.abs(answer.value - truth)[0] / answer.std_error[0])


def _rms(values: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((values - truth) ** 2)))


def _frozen(process: OrnsteinUhlenbeck) -> F.Diffusion:
    """The same motion, known by its drift and noise alone, so that steps are Euler's."""
    known = F.as_dynamics(process)
    return F.Diffusion(known.drift, known.noise, 1, diagonal=True)


def _drawn_line(seed: int) -> tuple[PolynomialDrift, Callable[[float], float]]:
    """A cubic drift, and minus twice its integral over the squared noise."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=3)
    d, noise = -rng.uniform(0.5, 2.0), rng.uniform(0.4, 1.0)
    process = PolynomialDrift(1, 3, [[a], [b], [c], [d]], volatility=noise)

    def potential(x: float) -> float:
        return -2 / noise**2 * (a * x + b * x**2 / 2 + c * x**3 / 3 + d * x**4 / 4)

    return process, potential


def _climb(potential: Callable[[float], float], low: float, high: float) -> float:
    return float(quad(lambda y: np.exp(potential(y)), low, high, epsabs=1e-13)[0])


def _exit_by_quadrature(
    potential: Callable[[float], float],
    process: PolynomialDrift,
    low: float,
    high: float,
    x: float,
) -> float:
    """Mean exit time by Green's function of the interval."""
    noise = float(np.ravel(process.volatility)[0])
    whole = _climb(potential, low, high)

    def to(y: float) -> float:
        return _climb(potential, low, y) / whole

    def weight(y: float) -> float:
        near = to(min(x, y)) * (1 - to(max(x, y)))
        return near * whole * 2 * np.exp(-potential(y)) / noise**2

    return quad(weight, low, high, points=[x], epsabs=1e-12, epsrel=1e-10)[0]


def _ring(n: int) -> float:
    ahead = scipy.sparse.diags_array([1.0, 1.0], offsets=[1, -1], shape=(n, n)).tocsr()
    rates = ahead - scipy.sparse.diags_array(np.asarray(ahead.sum(axis=1)).ravel())
    chain = F.Chain(scipy.sparse.csr_array(rates), tuple(range(n)))
    middle = (n - 1) // 2
    found = _value(F.hitting_time(F.states([0, n - 1])), chain, None, middle)[0]
    return abs(found / (middle**2 / 2) - 1)


def _call() -> F.Functional:
    return F.Functional(
        terminal=lambda x: np.maximum(x[:, 0] - 100, 0),
        stop={F.above(120.0): 0.0},
        horizon=1.0,
        discount=0.05,
    )


def _ball(method: str, size: int) -> float:
    """Rms error of the mean time to leave a ball, as a share of that of its centre."""
    process = OrnsteinUhlenbeck(np.ones(10), np.zeros(10), volatility=1.2)
    question = F.hitting_time(~F.ball(np.zeros(10), 1.5))
    rng = np.random.default_rng(1)
    away = rng.normal(size=(300, 10))
    away *= 1.5 * rng.random((300, 1)) ** 0.1 / np.linalg.norm(away, axis=1, keepdims=True)
    truth = _radial(np.linalg.norm(away, axis=1))
    words = {"features": size} if method == "galerkin" else {"features": 60, "n_paths": size}
    model = F.ValueFunction(question, method=method, random_state=0, **words)
    found = model.fit(process, away).predict(away)
    return _rms(found, truth) / float(_radial(np.zeros(1))[0])


def _radial(radius: np.ndarray) -> np.ndarray:
    r"""$\\int_r^R \\frac{2}{s^2 u^9} e^{u^2 / s^2} \\int_0^u v^9 e^{-v^2 / s^2} dv\\,du$."""
    square, u = 1.44, np.linspace(1e-9, 1.5, 20_001)
    inner = u**9 * np.exp(-(u**2) / square)
    total = np.concatenate([[0.0], np.cumsum((inner[1:] + inner[:-1]) / 2 * np.diff(u))])
    outer = np.zeros_like(u)
    outer[1:] = 2 / square * total[1:] / u[1:] ** 9 * np.exp(u[1:] ** 2 / square)
    outer[:50] = u[:50] / 5 / square  # sums of few terms are not yet right
    area = np.concatenate([[0.0], np.cumsum((outer[1:] + outer[:-1]) / 2 * np.diff(u))])
    return np.interp(radius, u, area[-1] - area)


def _oblique(method: str, **words: Any) -> float:
    """Largest error of a committor between oblique walls in the plane."""
    angle = 0.5
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    def drift(_: float, x: np.ndarray) -> np.ndarray:
        u = x @ turn.T
        return np.stack([u[:, 0] - u[:, 0] ** 3, -u[:, 1]], axis=1) @ turn

    process = F.Diffusion(drift, lambda _, x: np.full_like(x, 0.7), 2, diagonal=True)
    right = F.where(lambda x: x @ turn[0] >= 1, lambda x: 1 - x @ turn[0])
    left = F.where(lambda x: x @ turn[0] <= -1, lambda x: 1 + x @ turn[0])
    X = np.random.default_rng(0).uniform(-0.6, 0.6, (400, 2))
    truth = F.ValueFunction(REACH).fit(WELL, INSIDE).predict(X @ turn[0])
    box = ([-2.5, -2.5], [2.5, 2.5]) if method == "grid" else None
    question = F.hitting_probability(right, before=left)
    model = F.ValueFunction(question, method=method, domain=box, random_state=1, **words)
    return float(np.abs(model.fit(process, X).predict(X) - truth).max())


def _density(cells: int) -> tuple[float, float, float]:
    start = norm(2.0, 0.3).pdf
    box = ([-6.0], [6.0])
    law = F.density(UNIT, lambda x: start(x[:, 0]), [1.0], domain=box, resolution=cells)
    truth = norm(2 * np.exp(-1), np.sqrt(0.09 * np.exp(-2) + 1 - np.exp(-2)))
    off = np.abs(law.at(1.0) - truth.pdf(law.grid.centers[:, 0])).sum() * law.grid.sizes[0]
    return float(off), abs(law.masses.sum() - 1), float(-min(law.masses.min(), 0.0))


def _survival(cells: int) -> float:
    grid = Grid(np.array([-1.0]), np.array([1.0]), (cells,))
    asked = GridQuestions.of([STAY], F.as_dynamics(Brownian(volatility=1.0)), grid)
    k = np.arange(60)[:, None]
    odd = (2 * k + 1) * np.pi / 2
    terms = (-1.0) ** k / (2 * k + 1) * np.cos(odd * asked.centers[:, 0]) * np.exp(-(odd**2) / 4)
    return float(np.abs(asked.march_to(0.5)[:, 0] - 4 / np.pi * terms.sum(axis=0)).max())


def _geometric_sums(n: int) -> np.ndarray:
    """Sums of N draws of a law with survival E, N geometric: the stays of `sech(t / 2)`."""
    rng = np.random.default_rng(1)
    count = rng.geometric(0.5, n)
    t = np.linspace(1e-6, 80, 400_001)
    r = 1 / np.cosh(t / 2)
    slope = 0.5 * r * np.tanh(t / 2)
    survival = np.minimum(slope / np.sqrt(0.25 * (1 - r**2)), 1.0)
    drawn = np.interp(rng.random(count.sum()), survival[::-1], t[::-1])
    return np.add.reduceat(drawn, np.concatenate([[0], np.cumsum(count)[:-1]]))


def _counted(n_sets: int) -> float:
    """Share of bands of counted stays that hold the truth, at the quartiles of gappy series."""
    level, t = 0.0, np.arange(0, 3000, 0.1)
    spectrum = np.exp(-((2 * np.pi * np.fft.rfftfreq(len(t), 0.1)) ** 2) / 2)
    stays = [_drawn_gaussian(spectrum, len(t), 10_000 + k) for k in range(40)]
    lengths = np.concatenate([_stays_above(x, level, 0.1) for x in stays])
    marks = np.quantile(lengths, [0.25, 0.5, 0.75])
    truth = np.array([(lengths > mark).mean() for mark in marks])
    inside = []
    for seed in range(n_sets):
        x = _drawn_gaussian(spectrum, 4000, seed)
        keep = np.ones(4000, dtype=bool)
        for gap in np.random.default_rng(seed).integers(0, 3950, 8):
            keep[gap : gap + 40] = False
        times = t[:4000][keep]
        law = F.excursion_law(x[keep], level, times=times, random_state=seed)
        low, high = (_at(law.above.ts, edge, marks) for edge in law.above.band)
        inside += ((low <= truth) & (truth <= high)).tolist()
    return float(np.mean(inside))


def _drawn_gaussian(spectrum: np.ndarray, n: int, seed: int) -> np.ndarray:
    """A stationary series with covariance exp(-t^2 / 2)."""
    whole = 2 * (len(spectrum) - 1)
    noise = np.random.default_rng(seed).standard_normal(whole)
    x = np.fft.irfft(np.fft.rfft(noise) * np.sqrt(spectrum), whole)
    return x[:n] / np.sqrt(spectrum.mean())


def _stays_above(x: np.ndarray, level: float, step: float) -> np.ndarray:
    """Lengths of complete stays above a level, crossings interpolated."""
    k = np.flatnonzero(np.diff(x > level))
    times = (k + (level - x[k]) / (x[k + 1] - x[k])) * step
    return np.diff(times)[x[k[:-1] + 1] > level]


def _at(ts: np.ndarray, values: np.ndarray, marks: np.ndarray) -> np.ndarray:
    place = np.searchsorted(ts, marks, side="right") - 1
    return values[np.clip(place, 0, len(values) - 1)]


PARTS = {part.__name__: part for part in (exact, exits, paths, equations, variance, stays)}


def main(chosen: list[str]) -> None:
    """Print the rows of some parts."""
    warnings.simplefilter("ignore")
    for part in chosen:
        begun = time.process_time()
        for what, found, most in PARTS[part]():
            mark = "" if found <= most else "   beyond"
            print(f"{part:9s} {what:48s} {found:10.2e}  of {most:8.1e}{mark}", flush=True)
        print(f"{part}: {time.process_time() - begun:.0f} CPU seconds", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(PARTS))
