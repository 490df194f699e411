"""Answers beside what users would pick: deeptime, FiPy, py-pde, QuantLib, where they are installed.

Errors are against closed forms or quadrature; a ratio above 1 says that theirs is larger.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.interpolate import RegularGridInterpolator
from scipy.stats import norm

from tests.benchmarks.harness import Row
from trajinfer import Trajectories
from trajinfer import functionals as F
from trajinfer.processes import AffineDrift, DoubleWell, OrnsteinUhlenbeck, simulate

WELL = DoubleWell(1.0, 1.0, volatility=0.7)
REACH = F.hitting_probability(F.above(1.0), before=F.below(-1.0))
AT = np.linspace(-0.9, 0.9, 37)[:, None]


def rows(rounds: int) -> list[Row]:
    """One comparison for each peer; the absent ones are named and left out."""
    found = []
    for package, compare in PEERS.items():
        if importlib.util.find_spec(package) is None:
            sys.stdout.write(f"skipped: {package} is not installed\n")
            continue
        found += compare()
    return found


def committor_from_paths() -> list[Row]:
    """The double well from 5000 short paths: features with exits against the best Markov model."""
    from deeptime.markov.msm import MaximumLikelihoodMSM

    starts = np.random.default_rng(0).uniform(-1, 1, (5000, 1))
    paths = simulate(WELL, starts, np.arange(41) * 0.005, 5000, random_state=1)
    truth = F.ValueFunction(REACH).fit(WELL, AT).predict(AT)
    ours, spent = _timed(lambda: _rms(_from_paths(paths), truth))
    known, _ = _timed(lambda: _rms(_from_paths(WELL), truth))
    exact, _ = _timed(lambda: _rms(_fitted(REACH, WELL, "galerkin", features=15), truth))
    errors, seconds = [], []
    for lag, bins in ((1, 20), (1, 50), (10, 20), (10, 50)):
        edges = np.linspace(-1, 1, bins + 1)
        codes = np.digitize(paths.values[:, :, 0], edges).astype(np.int32)
        begun = time.process_time()
        chain = MaximumLikelihoodMSM(lagtime=lag, reversible=False).fit(list(codes)).fetch_model()
        states = np.asarray(chain.count_model.state_symbols)
        ends = [np.flatnonzero(states == code).tolist() for code in (0, bins + 1)]
        forward = chain.reactive_flux(*ends).forward_committor
        middle = np.concatenate([[-1.0], (edges[1:] + edges[:-1]) / 2, [1.0]])[states]
        errors.append(_rms(np.interp(AT[:, 0], middle, forward), truth))
        seconds.append(time.process_time() - begun)
    best = int(np.argmin(errors))
    job = "committor, double well"
    return [
        Row(job, "error of deeptime's best Markov model / recorded paths", errors[best] / ours),
        Row(job, "error of deeptime's best Markov model / noise handed over", errors[best] / known),
        Row(job, "error of deeptime's best Markov model / galerkin", errors[best] / exact),
        Row(job, "time of deeptime's best Markov model / recorded paths", seconds[best] / spent),
    ]


def oblique_plane() -> list[Row]:
    """A double well turned by an eighth of a circle, between oblique walls, on 80 x 80 cells."""
    from fipy import CellVariable, DiffusionTerm, FaceVariable, Grid2D, ImplicitSourceTerm

    cells, reach, wall = 80, 2.0, 0.8
    turn = np.array([1.0, 1.0]) / np.sqrt(2)
    process = _turned_well()
    right = F.where(lambda x: x @ turn >= wall, lambda x: wall - x @ turn)
    left = F.where(lambda x: x @ turn <= -wall, lambda x: wall + x @ turn)
    question = F.hitting_probability(right, before=left)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (200, 2))
    one = F.hitting_probability(F.above(wall), before=F.below(-wall))
    along = (points @ turn)[:, None]
    truth = F.ValueFunction(one).fit(WELL, along).predict(along)
    box = ([-reach, -reach], [reach, reach])

    def on_grid() -> float:
        model = F.ValueFunction(question, method="grid", resolution=cells, domain=box)
        return float(np.abs(model.fit(process, points).predict(points) - truth).max())

    def fipy() -> float:
        corner, width = ((-reach,), (-reach,)), 2 * reach / cells
        mesh = Grid2D(dx=width, dy=width, nx=cells, ny=cells) + corner
        x, y = mesh.cellCenters.value
        faces = mesh.faceCenters.value
        u, v = (faces[0] + faces[1]) / np.sqrt(2), (faces[1] - faces[0]) / np.sqrt(2)
        weight = np.exp(-2 * (u**4 / 4 - u**2 / 2 + v**2 / 2) / 0.49)
        q = CellVariable(mesh=mesh, value=0.5)
        place = (x + y) / np.sqrt(2)
        high, low = place >= wall, place <= -wall
        held = CellVariable(mesh=mesh, value=1e10 * (high | low))
        paid = CellVariable(mesh=mesh, value=1e10 * high)
        diffusion = DiffusionTerm(coeff=FaceVariable(mesh=mesh, value=weight))
        equation = diffusion - ImplicitSourceTerm(coeff=held) + paid
        equation.solve(var=q)
        values = np.asarray(q.value).reshape(cells, cells)
        axis = (np.arange(cells) + 0.5) * 2 * reach / cells - reach
        look_up = RegularGridInterpolator((axis, axis), values)
        return float(np.abs(look_up(points[:, ::-1]) - truth).max())

    ours, spent = _timed(on_grid)
    theirs, took = _timed(fipy)
    job = "committor, oblique walls, 80 x 80"
    return [
        Row(job, "largest error of FiPy / grid", theirs / ours),
        Row(job, "time of FiPy / grid", took / spent),
    ]


def density_on_the_line() -> list[Row]:
    """An Ornstein-Uhlenbeck law at t = 1 on 101 cells."""
    from pde import PDE, CartesianGrid, ScalarField

    def start(x: np.ndarray) -> np.ndarray:
        return norm.pdf(x, 2.0, 0.3)

    process = OrnsteinUhlenbeck(1.0, 0.0, volatility=np.sqrt(2))

    def ours() -> float:
        law = F.density(
            process, lambda x: start(x[:, 0]), [1.0], domain=([-6.0], [6.0]), resolution=101
        )
        return _l1(law.grid.centers[:, 0], law.at(1.0))

    def theirs() -> float:
        grid = CartesianGrid([[-6, 6]], 101)
        x = grid.cell_coords[:, 0]
        equation = PDE({"p": "laplace(p) + p + x * d_dx(p)"}, bc="derivative")
        state = ScalarField(grid, start(x))
        solved = equation.solve(state, t_range=1.0, dt=2e-3, tracker=None)
        return _l1(x, solved.data)

    mine, spent = _timed(ours)
    other, took = _timed(theirs)
    job = "Ornstein-Uhlenbeck law, 101 cells"
    return [
        Row(job, "L1 error of py-pde / density", other / mine),
        Row(job, "time of py-pde / density", took / spent),
    ]


def barrier_call() -> list[Row]:
    """An up-and-out call, 100/120, twelve steps, 100 000 paths; truth 1.1760654."""
    import QuantLib as ql

    truth, spot, rate, spread = 1.1760654, 100.0, 0.05, 0.2
    drift = rate - spread**2 / 2
    process = AffineDrift(1, [[0.0]], [drift], volatility=spread)
    barrier = F.above(np.log(120 / spot))
    call = F.Functional(
        terminal=lambda x: np.maximum(spot * np.exp(x[:, 0]) - 100, 0.0),
        stop={barrier: 0.0},
        horizon=1.0,
        discount=rate,
    )

    def ours() -> Any:
        words = {"n": 100_000, "step": 1 / 12, "exits": "weights", "random_state": 0}
        return F.estimate(call, process, [[0.0]], **words)

    def theirs() -> float:
        today = ql.Date(1, 1, 2020)
        ql.Settings.instance().evaluationDate = today
        count = ql.Actual365Fixed()
        option = ql.BarrierOption(
            ql.Barrier.UpOut,
            120.0,
            0.0,
            ql.PlainVanillaPayoff(ql.Option.Call, 100.0),
            ql.EuropeanExercise(today + 365),
        )
        curves = (ql.YieldTermStructureHandle(ql.FlatForward(today, r, count)) for r in (0.0, rate))
        surface = ql.BlackConstantVol(today, ql.NullCalendar(), spread, count)
        model = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(ql.SimpleQuote(spot)), *curves, ql.BlackVolTermStructureHandle(surface)
        )
        words = {"timeSteps": 12, "requiredSamples": 100_000, "seed": 1, "brownianBridge": True}
        option.setPricingEngine(ql.MCBarrierEngine(model, "pseudorandom", **words))
        return float(option.NPV())

    answer, spent = _timed(ours)
    other, took = _timed(theirs)
    mine = abs(answer.value[0] - truth) / truth
    job = "up-and-out call, 12 steps"
    return [
        Row(
            job,
            "relative error of estimate (%), its own standard error (%) as bar",
            100 * mine,
            f"{100 * answer.std_error[0] / truth:.2f}",
        ),
        Row(job, "relative error of QuantLib (%)", 100 * abs(other - truth) / truth),
        Row(job, "time of QuantLib / estimate", took / spent),
    ]


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    call()  # what is compiled or loaded at the first call is not what is compared
    begun = time.process_time()
    result = call()
    return result, time.process_time() - begun


def _rms(values: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((values - truth) ** 2)))


def _fitted(question: F.Functional, process: Any, method: str, **settings: Any) -> np.ndarray:
    model = F.ValueFunction(question, method=method, random_state=0, **settings)  # type: ignore[arg-type]
    return model.fit(process, AT).predict(AT)


def _from_paths(source: DoubleWell | Trajectories) -> np.ndarray:
    return _fitted(REACH, source, "lstd", features=9, step=0.005)


def _turned_well() -> F.Diffusion:
    """The double well along (1, 1), a spring across."""
    turn = np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2)

    def drift(t: float, x: np.ndarray) -> np.ndarray:
        u = x @ turn.T
        return np.stack([u[:, 0] - u[:, 0] ** 3, -u[:, 1]], axis=1) @ turn

    return F.Diffusion(drift, lambda t, x: np.full_like(x, 0.7), 2, diagonal=True)


def _l1(x: np.ndarray, density: np.ndarray) -> float:
    truth = norm.pdf(x, 2 * np.exp(-1), np.sqrt(0.09 * np.exp(-2) + 1 - np.exp(-2)))
    return float(np.abs(density - truth).sum() * (x[1] - x[0]))


PEERS: dict[str, Callable[[], list[Row]]] = {
    "deeptime": committor_from_paths,
    "fipy": oblique_plane,
    "pde": density_on_the_line,
    "QuantLib": barrier_call,
}
