"""Every figure of the page on long memory: `python examples/reproduce/long_memory.py [part ...]`.

Parts: estimators, forecasts, recovery, bridge, control, speed, series. Seeds are fixed.
"""

import itertools
import sys
import time
import warnings

import numpy as np
import pandas as pd
import torch

from trajinfer import FractionalSDE, IrregularSeries
from trajinfer.data.forecast import Forecast
from trajinfer.fractional import (
    NonStationaryWarning,
    estimate_hurst,
    simulate_fbm,
    simulate_fgn,
    simulate_fractional_ou,
    symmetric_nodes,
    weights,
)
from trajinfer.fractional.bridge import conditioned_start, optimal_bridge_control
from trajinfer.fractional.kalman import covariance_root
from trajinfer.fractional.linear_model import LinearFractionalModel
from trajinfer.fractional.ou_transition import ou_transition, stationary_covariance
from trajinfer.metrics import crps
from trajinfer.nn import MLP
from trajinfer.processes import FractionalBrownian, NeuralDrift
from trajinfer.sde import solve
from trajinfer.training import Loss, Recipe

INDICES = (0.1, 0.3, 0.5, 0.7, 0.9)
METHODS = {"whittle": 200, "mle": 20, "state_space": 20, "dfa": 20, "variogram": 20}


def show(rows: list[dict]) -> None:
    print(pd.DataFrame(rows).to_string(index=False), "\n", flush=True)


def estimators() -> None:
    """Mean error and spread of H on exact noise of 1024 points; half of them for `irregular`."""
    rows = []
    for hurst in INDICES:
        noise = simulate_fgn(hurst, 1024, max(METHODS.values()), random_state=1)
        for method, n in METHODS.items():
            found = [estimate_hurst(x, method=method, increments=True) for x in noise[:n]]
            rows.append(row_of(hurst, method, found))
        rng = np.random.default_rng(0)
        found = []
        for x in noise[:20]:
            seen = np.sort(rng.permutation(1025)[:512])
            path = np.concatenate([[0.0], np.cumsum(x)])
            found.append(estimate_hurst(path[seen], seen, "state_space"))
        rows.append(row_of(hurst, "state_space, irregular", found))
    show(rows)


def row_of(hurst: float, method: str, found: list) -> dict:
    estimates = np.array([e.hurst for e in found])
    covered = np.mean([e.interval[0] <= hurst <= e.interval[1] for e in found])
    error = estimates.mean() - hurst
    return {
        "H": hurst,
        "method": method,
        "n": len(found),
        "bias": f"{error:+.4f}",
        "sd": f"{estimates.std():.4f}",
        "covered by 95 %": f"{covered:.2f}",
    }


def forecasts() -> None:
    """Coverage of 90 % intervals and CRPS on new exact paths; learned H beside H = 1/2."""
    rows, ts = [], np.linspace(0, 2, 81)
    for kind in ("fbm", "fou"):
        for hurst in (0.3, 0.5, 0.7, 0.9):
            if kind == "fbm":
                paths = simulate_fbm(hurst, ts, 220, random_state=3).values
            else:
                paths = simulate_fractional_ou(hurst, 1.0, ts, 220, random_state=3).values
            train = IrregularSeries.from_arrays(ts, paths[:20])
            test = IrregularSeries.from_arrays(ts[:61], paths[20:, :61])
            scores = {}
            for name, index in (("learned", "learn"), ("half", 0.5)):
                model = FractionalSDE(index, horizon=1.0, random_state=0).fit(train)
                forecast = model.forecast(test, ts[61::4], n=400)
                scores[name] = scored(forecast, paths[20:, 61::4]), model.hurst_[0]
            (cover, own), index = scores["learned"]
            (_, other), _ = scores["half"]
            gap = own - other
            error = gap.std() / np.sqrt(len(gap))
            rows.append(
                {
                    "data": kind,
                    "H": hurst,
                    "found": round(index, 3),
                    "covered by 90 %": round(cover, 3),
                    "CRPS": round(own.mean(), 4),
                    "CRPS, H = 1/2": round(other.mean(), 4),
                    "gap / error": f"{gap.mean():+.4f} / {error:.4f}",
                }
            )
    show(rows)


def scored(forecast: Forecast, truth: np.ndarray) -> tuple[float, np.ndarray]:
    """Coverage, and the CRPS of every series."""
    low, high = forecast.interval(0.9)
    covered = float(((low <= truth) & (truth <= high)).mean())
    return covered, crps(np.moveaxis(forecast.samples, 1, 0), truth).mean(axis=(1, 2))


def recovery() -> None:
    """H of 96 fractional Ornstein-Uhlenbeck series: exact evidence, and the variational model."""
    rows, ts = [], np.linspace(0, 6, 61)
    for hurst, start in itertools.product((0.3, 0.5, 0.7), ("stationary", "zero")):
        paths = simulate_fractional_ou(hurst, 1.0, ts, 96, start=start, random_state=5).values
        # another seed than that of the paths: equal ones draw equal normals
        noise = 0.02 * np.random.default_rng(105).normal(size=paths.shape)
        series = IrregularSeries.from_arrays(ts, paths + noise)
        exact = FractionalSDE(random_state=0).fit(series)
        bound = FractionalSDE(
            random_state=0, inference="variational", max_epochs=10, batch_size=16
        ).fit(series)
        rows.append(
            {
                "H": hurst,
                "start": start,
                "exact": round(exact.hurst_[0], 3),
                "interval": exact.hurst_interval_[0].round(3).tolist(),
                "log-evidence": round(exact.elbo_, 1),
                "variational": round(bound.hurst_[0], 3),
                "bound": round(bound.elbo_, 1),
            }
        )
    show(rows)


def bridge() -> None:
    """The closed-form control on 1600 steps, 3000 paths: loss beside its limit."""
    rows = []
    for hurst, limits in ((0.7, (2.6484, 2.6422)), (0.9, (2.7917, 2.6950))):
        for adapted in (False, True):
            mean, error = controlled_bridge(hurst, 1600, 3000, adapted=adapted)
            rows.append(
                {
                    "H": hurst,
                    "Y(0)": "posterior" if adapted else "prior",
                    "loss": f"{mean:.4f} +- {error:.4f}",
                    "limit": limits[adapted],
                }
            )
    show(rows)


def controlled_bridge(hurst: float, n_steps: int, n: int, *, adapted: bool) -> tuple[float, float]:
    """Mean loss of paths under the optimal control held over each step, and its standard error."""
    end, sigma = 2.0, torch.tensor(0.1, dtype=torch.float64)
    nodes = torch.as_tensor(symmetric_nodes(5))
    omega = weights(torch.tensor(hurst, dtype=torch.float64), nodes, 6.0)
    zero = torch.zeros((), dtype=torch.float64)
    model = LinearFractionalModel(nodes, omega, zero, sigma, start_sd=zero)
    generator = torch.Generator().manual_seed(0)
    law, kl = stationary_covariance(nodes), torch.zeros(n, dtype=torch.float64)
    mean = torch.zeros_like(nodes)
    if adapted:
        mean, posterior = conditioned_start(model, torch.tensor(end).double(), zero)
        inner = torch.linalg.solve(law, posterior)
        kl += 0.5 * (inner.trace() - len(nodes) - torch.logdet(inner))
        law = posterior
    root = torch.linalg.cholesky(law)
    y = mean + torch.randn(n, 5, generator=generator, dtype=torch.float64) @ root.T
    x, h = torch.zeros(n, dtype=torch.float64), end / n_steps
    move = ou_transition(nodes, torch.tensor(h, dtype=torch.float64))
    # the innovations span the Brownian increment up to a rest that is independent of them
    solve_gain = torch.linalg.lstsq(move.factor, move.gain[:, None]).solution[:, 0]
    for k in range(n_steps):
        u = optimal_bridge_control(model, torch.tensor(end - k * h).double(), x, y, zero)
        normal = torch.randn(n, move.factor.shape[1], generator=generator, dtype=torch.float64)
        kick = normal @ move.factor.T + u[:, None] * move.gain
        x = x + (move.change * y + kick) @ omega
        y = move.decay * y + kick
        # the martingale term leaves the mean and takes most of the variance
        kl += 0.5 * u.square() * h + u * (normal @ solve_gain)
    loss = kl + x.square() / (2 * sigma.square())
    return float(loss.mean()), float(loss.std() / n**0.5)


def control() -> None:
    """A network of width 64 as control held over 200 steps, 1089 steps of Adam, H = 0.7."""
    started = time.process_time()
    network = MLP(8, 1, (64, 64), dtype=torch.float64, random_state=0)
    for parameter in network.layers[-1].parameters():
        torch.nn.init.zeros_(parameter)

    def objective(index: torch.Tensor, step: int) -> Loss:
        return Loss(network_bridge(network, len(index), step)[0].mean())

    recipe = Recipe(seed=0, steps=1089, batch_size=32, lr=1e-2, floor=0.01, clip=10.0)
    recipe.fit(network, objective, 32)
    with torch.no_grad():
        loss, middle = network_bridge(network, 4096, -1)
    row = {
        "loss": f"{loss.mean():.4f} +- {loss.std() / 64:.4f}",
        "limit": 2.6484,
        "variance in the middle": f"{middle.var():.4f}",
        "exact": 0.2975,
        "seconds": round(time.process_time() - started),
    }
    show([row])


def network_bridge(network: MLP, n: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of n paths of the bridge at H = 0.7, Y(0) from its prior, and X in the middle."""
    hurst, end, sigma, n_steps = torch.tensor(0.7, dtype=torch.float64), 2.0, 0.1, 200
    nodes, h = torch.as_tensor(symmetric_nodes(5)), end / n_steps
    omega, root = weights(hurst, nodes, 6.0), covariance_root(stationary_covariance(nodes))
    white, generator = torch.linalg.inv(root), torch.Generator().manual_seed(1 + step)
    move = ou_transition(nodes, torch.tensor(h, dtype=torch.float64))

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, y, kl = torch.zeros(n, dtype=torch.float64), normal(n, 5) @ root.T, 0.0
    for k in range(n_steps):
        left = torch.full((n, 1), end - k * h, dtype=torch.float64)
        size = (left + h) ** -0.5
        seen = torch.cat([x[:, None] * size, y @ white.T, left.log(), left], dim=1)
        u = (network(seen) * size)[:, 0]
        kick = normal(n, move.factor.shape[1]) @ move.factor.T + u[:, None] * move.gain
        x = x + (move.change * y + kick) @ omega
        y = move.decay * y + kick
        kl = kl + 0.5 * h * u.square()
        if k == n_steps // 2 - 1:
            middle = x
    return kl + x.square() / (2 * sigma**2), middle


def speed() -> None:
    """Milliseconds per step of a neural drift under fractional and under Brownian noise."""
    rows = []
    drift = NeuralDrift(2, (64, 64), volatility=0.3, random_state=0).float()
    ts, batch = np.linspace(0, 1, 101), 256
    fractional = FractionalBrownian(0.7, drift, n_ou=12)
    x0 = torch.zeros(batch, 2)
    cases = {"fractional": (fractional, "exact"), "Brownian": (drift, "sra1")}
    best = dict.fromkeys(cases, np.inf)
    for gradient in (False, True):
        best = dict.fromkeys(cases, np.inf)
        for _ in range(7):
            for name, (sde, method) in cases.items():
                y0 = fractional.start(x0, 0) if name == "fractional" else x0
                started = time.perf_counter()
                with torch.set_grad_enabled(gradient):
                    found = solve(sde, y0, ts, method=method, random_state=0)
                    if gradient:
                        found.ys[:, -1, :2].square().mean().backward()
                best[name] = min(best[name], time.perf_counter() - started)
        rows.append(
            {
                "pass": "forward and backward" if gradient else "forward",
                **{f"{name} ms": round(10 * value, 3) for name, value in best.items()},
                "ratio": round(best["fractional"] / best["Brownian"], 2),
            }
        )
    show(rows)


def series() -> None:
    """H of real series: Nile, sunspots, log range of the S&P 500, anomalies of CO2 (both paths)."""
    from trajinfer.datasets import load_series

    rows = []
    for name in ("nile", "sunspots"):
        values = load_series(name).train.values[0, :, 0]
        rows += [as_row(name, values, method) for method in ("whittle", "mle", "dfa")]
    index = load_series("sp500").train
    high, low = (index.values[0, :, index.channels.index(name)] for name in ("High", "Low"))
    log_range = np.log(np.log(high / low))
    rows += [as_row("log range", log_range, m, path=True) for m in ("whittle", "variogram")]
    years, anomaly = co2_anomaly()
    for noisy in (False, True):
        found = estimate_hurst(anomaly, years, "state_space", observation_noise=noisy)
        name = "state_space, noise" if noisy else "state_space"
        interval = np.round(found.interval, 3).tolist()
        rows.append(
            {"data": "CO2", "method": name, "H": round(found.hurst, 3), "interval": interval}
        )
    show(rows)


def co2_anomaly() -> tuple[np.ndarray, np.ndarray]:
    """Weekly CO2 where measured, less a cubic trend and four harmonics of the year."""
    from trajinfer.datasets import load_series

    series = load_series("co2").train
    seen = series.mask[0, :, 0]
    years = (series.times[0] / 365.25)[seen]
    trend = [years**k for k in range(4)]
    waves = [f(2 * np.pi * k * years) for k in range(1, 5) for f in (np.sin, np.cos)]
    columns, values = np.stack(trend + waves, axis=1), series.values[0, seen, 0]
    return years, values - columns @ np.linalg.lstsq(columns, values, rcond=None)[0]


def as_row(name: str, values: np.ndarray, method: str, *, path: bool = False) -> dict:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonStationaryWarning)
        found = estimate_hurst(values, method=method, increments=not path)
    return {
        "data": name,
        "method": method,
        "H": round(found.hurst, 3),
        "interval": np.round(found.interval, 3).tolist(),
    }


PARTS = {f.__name__: f for f in (estimators, forecasts, recovery, bridge, control, speed, series)}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for part in sys.argv[1:] or PARTS:
        print(f"# {part}: {PARTS[part].__doc__}")
        PARTS[part]()
