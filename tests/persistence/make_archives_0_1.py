"""Writes `archives_0_1`: small models of version 0.1 and their answers.

Runs with version 0.1 only, whose names and settings it uses:

    PYTHONPATH=<folder of version 0.1>:<this project> python tests/persistence/make_archives_0_1.py

Numbers are those of the machine that runs it, so that all models are written in one go.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import trajinfer
from tests.persistence.questions import DAYS, LAWS, NAMES, QUESTIONS, TIMES
from trajinfer import (
    DirectedChainGenerator,
    FractionalSDE,
    IrregularSeries,
    JumpSeries,
    MarkovJumpProcess,
    NeuralSDEClassifier,
    NeuralSDEForecaster,
    NeuralSDEInterpolator,
    NeuralSDERegressor,
    SchrodingerBridge,
    Snapshots,
    jumps,
    models,
)
from trajinfer.fractional import simulate_fractional_ou
from trajinfer.processes import AffineDrift, LotkaVolterra, PolynomialDrift

FOLDER = Path(__file__).parent / "archives_0_1"
N_OF_LAWS = 200_000


def snapshots(times: Any = (0.0, 1.0, 2.5), **parts: Any) -> Snapshots:
    """Positive points in the plane that grow and turn."""
    rng = np.random.default_rng(0)
    points = [np.exp(rng.normal([0.2 * k, 0.4 - 0.2 * k], 0.3, (12, 2))) for k in range(len(times))]
    return Snapshots(np.asarray(times, dtype=float), tuple(points), **parts)


def dated_snapshots() -> tuple[Any, Any]:
    """Rows with their dates."""
    whole = snapshots()
    return np.concatenate(whole.points), np.repeat(DAYS[[0, 1, 3]], 12)


def weighted() -> Snapshots:
    """Points with weights and names."""
    weights = tuple(np.random.default_rng(1).uniform(0.2, 2.0, 12) for _ in range(3))
    return snapshots(weights=weights, features=("prey", "hunter"))


def series(n: int = 24, times: Any = TIMES, **parts: Any) -> IrregularSeries:
    """Noisy waves of two channels, a fifth of the values missing."""
    rng = np.random.default_rng(2)
    phase = rng.uniform(0, 6, (n, 1, 2))
    values = np.sin(np.arange(len(times))[:, None] + phase) + 0.2 * rng.normal(
        size=(n, len(times), 2)
    )
    values[rng.random(values.shape) < 0.2] = np.nan
    return IrregularSeries.from_arrays(times, values, channels=NAMES, **parts)


def dated(n: int = 24) -> IrregularSeries:
    """The same on an axis of dates."""
    return series(n, np.datetime64("2024-03-01", "ns") + (24 * TIMES).astype("m8[h]"))


def long_series() -> IrregularSeries:
    """Four walks of 30 times, for long memory."""
    rng = np.random.default_rng(3)
    steps = 0.3 * rng.normal(size=(4, 30, 2))
    return IrregularSeries.from_arrays(np.arange(30) * 0.25, steps.cumsum(axis=1), channels=NAMES)


def dated_walk() -> IrregularSeries:
    """Two channels that come back to their mean, on dates."""
    drawn = simulate_fractional_ou(0.65, 1.5, np.arange(30) * 0.25, 4, random_state=11).values
    times = np.datetime64("2024-02-01", "ns") + (6 * np.arange(30)).astype("m8[h]")
    both = np.concatenate([drawn[:2], drawn[2:]], axis=2)
    return IrregularSeries.from_arrays(times, both, channels=NAMES)


RATES = np.array([[-1.0, 1.0], [2.0, -2.0]])
RATES_OF_THREE = np.array([[-1.2, 1.0, 0.2], [0.5, -1.0, 0.5], [0.0, 0.8, -0.8]])


def paths(rates: Any = RATES, noise: float = 0.0, n: int = 40) -> JumpSeries:
    """Labels at eight times."""
    first = np.full(len(rates), 1 / len(rates))
    times = np.arange(8) * 0.4
    return jumps.simulate(rates, first, n, times, label_noise=noise, random_state=4)


def named() -> JumpSeries:
    """Three states with names, some labels wrong."""
    drawn = paths(RATES_OF_THREE, 0.05, 80)
    return JumpSeries.from_arrays(drawn.times, np.array(["a", "b", "c"])[drawn.states])


def dated_paths() -> JumpSeries:
    """Three states that follow one another, on dates."""
    chain = np.array([[-1.0, 1.0, 0.0], [0.3, -0.8, 0.5], [0.0, 0.4, -0.4]])
    drawn = jumps.simulate(chain, [1.0, 0, 0], 40, np.arange(6) * 0.5, random_state=5)
    times = np.datetime64("2024-03-01", "ns") + (np.arange(6) * 12).astype("m8[h]")
    return JumpSeries.from_arrays(np.tile(times, (40, 1)), drawn.states)


def signals() -> JumpSeries:
    """A signal of two levels."""
    drawn = paths()
    noise = 0.4 * np.random.default_rng(6).normal(size=drawn.states.shape)
    return JumpSeries.from_arrays(drawn.times, None, signal=3.0 * drawn.states + noise)


def two_rates(theta: Any) -> Any:
    """Rates that differ by a factor."""
    return np.array([[0.0, theta[0]], [theta[0] * theta[1], 0.0]])


def walks(dim: int = 1, n: int = 30) -> IrregularSeries:
    """Random walks at nine times."""
    steps = np.random.default_rng(7).normal(size=(n, 9, dim))
    return IrregularSeries.from_arrays(np.arange(9) / 4, steps.cumsum(axis=1))


def bars() -> IrregularSeries:
    """Windows of bars with a volume and a copy of the closing price."""
    rng = np.random.default_rng(8)
    n = 119
    close = 50 * np.exp(0.02 * rng.normal(size=n).cumsum())
    opening = close * np.exp(0.01 * rng.normal(size=n))
    spread = np.exp(0.01 * np.abs(rng.normal(size=(2, n))))
    high, low = np.maximum(opening, close) * spread[0], np.minimum(opening, close) / spread[1]
    volume = np.exp(rng.normal(9, 0.3, n))
    rows = np.stack([opening, high, low, close, close, volume], axis=-1)
    windows = np.lib.stride_tricks.sliding_window_view(rows, 10, axis=0).transpose(0, 2, 1)
    channels = ("open", "high", "low", "close", "adjusted", "volume")
    return IrregularSeries.from_arrays(np.arange(10), windows, channels=channels)


def readings() -> IrregularSeries:
    """Days of 24 readings, one channel with zeros, one the sum of the others."""
    rng = np.random.default_rng(9)
    hours = np.arange(24 * 24)
    load = np.exp(1 + 0.5 * np.sin(2 * np.pi * hours / 24) + 0.1 * rng.normal(size=len(hours)))
    gas = rng.poisson(np.exp(2 * np.sin(2 * np.pi * hours / 24)))
    rows = np.stack([np.round(load, 2), gas, np.round(load, 2) + gas], axis=-1)
    times = np.datetime64("2020-03-01", "ns") + hours * np.timedelta64(1, "h")
    return IrregularSeries.from_arrays(
        times.reshape(24, 24), rows.reshape(24, 24, 3), channels=("load", "gas", "sum")
    )


def bridge(data: Any = None, **settings: Any) -> Any:
    """A fitted bridge."""
    made = SchrodingerBridge(
        **{"n_particles": 50, "n_refinements": 3, "random_state": 0, **settings}
    )
    given = (snapshots(),) if data is None else data
    return made.fit(*given)


def network(kind: Any, *data: Any, **settings: Any) -> Any:
    """A fitted network."""
    small = {"hidden": 6, "layers": 1, "max_epochs": 3, "n_samples": 3, "random_state": 0}
    return kind(**{**small, **settings}).fit(*data)


def generator(data: IrregularSeries, groups: Any = None, **settings: Any) -> Any:
    """A fitted generator."""
    quick = {"loss": models.TransitionLikelihood(n_steps=20, batch_size=64), "hidden": (8, 8)}
    return DirectedChainGenerator(**{**quick, "random_state": 0, **settings}).fit(
        data, groups=groups
    )


LITTLE = models.Memory(half_lives=(3.0,), lags=(1,), hidden=(8,), n_steps=20, burn_in=5, block=20)
LITTLE_DAY = models.Memory(
    half_lives=(1.0, 6.0),
    lags=(1, 24),
    target="increment",
    calendar=models.Calendar(24, None, True),
    burn_in=24,
    block=48,
    hidden=(8,),
    n_steps=20,
    ensemble=2,
)
CLASSES = np.array(["calm", "wild"])[np.arange(24) % 2]
NUMBERS = np.sin(np.arange(24.0))
STATICS = np.random.default_rng(10).normal(size=(24, 2))
CHAIN = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=bool)
MIXED_LABELS = np.array([[0.9, 0.1, 0.0], [0.05, 0.9, 0.05], [0.0, 0.2, 0.8]])

MODELS: dict[str, Callable[[], Any]] = {
    "bridge_brownian": lambda: bridge(),
    "bridge_lotka_volterra": lambda: bridge(reference=LotkaVolterra()),
    "bridge_affine": lambda: bridge(reference=AffineDrift(2), volatility=0.5),
    "bridge_linear_noise": lambda: bridge(
        reference=PolynomialDrift(2, 2), volatility=[0.4, 0.3], backend="linear_noise"
    ),
    "bridge_learned_volatility": lambda: bridge(volatility="learn"),
    "bridge_weights": lambda: bridge((weighted(),)),
    "bridge_dates": lambda: bridge(dated_snapshots(), reference=AffineDrift(2)),
    "bridge_thinned": lambda: bridge(max_samples=8),
    "jumps_mle_label_noise": lambda: MarkovJumpProcess(
        3, method="mle", label_noise="learn", random_state=0
    ).fit(named()),
    "jumps_links": lambda: MarkovJumpProcess(3, method="em", links=CHAIN, random_state=0).fit(
        dated_paths()
    ),
    "jumps_reversible": lambda: MarkovJumpProcess(
        2, method="map", reversible=True, random_state=0
    ).fit(paths()),
    "jumps_model": lambda: MarkovJumpProcess(
        2, method="mle", model=two_rates, theta0=[1.0, 1.0], random_state=0
    ).fit(paths()),
    "jumps_bayes": lambda: MarkovJumpProcess(2, method="bayes", random_state=0).fit(paths(n=20)),
    "jumps_gaussian": lambda: MarkovJumpProcess(
        2,
        method="mle",
        emission=jumps.GaussianEmission([0.0, 2.5], [0.5, 0.5]),
        random_state=0,
    ).fit(signals()),
    "jumps_amortized": lambda: MarkovJumpProcess(2, method="amortized", random_state=0).fit(
        paths()
    ),
    "jumps_auto": lambda: MarkovJumpProcess(2, random_state=0).fit(paths()),
    "jumps_from_rates": lambda: MarkovJumpProcess.from_rates(
        RATES_OF_THREE, [0.5, 0.3, 0.2], MIXED_LABELS, ["a", "b", "c"]
    ),
    "fractional_exact": lambda: FractionalSDE(n_ou=6, random_state=0).fit(long_series()),
    "fractional_dates": lambda: FractionalSDE(
        hurst=[0.6, 0.7], n_ou=5, fbm_type=2, horizon=20.0, random_state=0
    ).fit(dated_walk()),
    "fractional_variational": lambda: FractionalSDE(
        n_ou=4, drift="mlp", likelihood="student_t", hidden=6, max_epochs=2, random_state=0
    ).fit(long_series()),
    "fractional_latent": lambda: FractionalSDE(
        0.4, n_ou=4, latent_dim=1, hidden=6, max_epochs=2, step=0.5, random_state=0
    ).fit(long_series()),
    "classifier_langevin": lambda: network(NeuralSDEClassifier, series(), CLASSES),
    "classifier_geometric_statics": lambda: network(
        NeuralSDEClassifier, series(statics=STATICS), CLASSES, dynamics="geometric"
    ),
    "classifier_latent_sde": lambda: network(
        NeuralSDEClassifier, series(), np.arange(24) % 3, dynamics="latent_sde"
    ),
    "classifier_gru": lambda: network(NeuralSDEClassifier, dated(), CLASSES, dynamics="gru"),
    "regressor_linear_noise": lambda: network(
        NeuralSDERegressor, series(), NUMBERS, dynamics="linear_noise", interpolation="linear"
    ),
    "regressor_cde": lambda: network(NeuralSDERegressor, series(), NUMBERS, dynamics="cde"),
    "regressor_clipped": lambda: network(
        NeuralSDERegressor, series(), NUMBERS, parameterization="clipped", control=False
    ),
    "forecaster_langevin": lambda: network(NeuralSDEForecaster, series(), horizon=1.0),
    "forecaster_window": lambda: network(
        NeuralSDEForecaster, series(), horizon=1.0, window=1.5, n_lags=3, cutoffs=2, step=0.2
    ),
    "forecaster_without_noise": lambda: network(NeuralSDEForecaster, series(), noise=False),
    "forecaster_ode_rnn": lambda: network(
        NeuralSDEForecaster, series(), horizon=1.0, dynamics="ode_rnn", validation=0
    ),
    "forecaster_dates": lambda: network(
        NeuralSDEForecaster, dated(), horizon=np.timedelta64(24, "h"), dynamics="linear_noise"
    ),
    "interpolator_free": lambda: network(
        NeuralSDEInterpolator, series(), dynamics="free", n_hidings=1, max_epochs=8
    ),
    "interpolator_dates": lambda: network(NeuralSDEInterpolator, dated(), hide=0.3, n_hidings=2),
    "generator_plain": lambda: generator(walks(2)),
    "generator_chain": lambda: generator(
        walks(),
        neighbour="one",
        chain_steps=2,
        loss=(
            models.TransitionLikelihood(n_steps=20, batch_size=64),
            models.PathMMD(n_steps=2, batch_size=16),
        ),
    ),
    "generator_path_loss": lambda: generator(
        walks(), loss=models.PathMMD(n_steps=3, batch_size=16)
    ),
    "generator_critic": lambda: generator(
        walks(), noise=1, loss=models.CDECritic(n_steps=3, batch_size=16, width=4)
    ),
    "generator_pool": lambda: generator(
        walks(2), np.arange(30) // 5, neighbour="pool", noise="triangular"
    ),
    "generator_relative": lambda: generator(
        bars(), transform="relative", loss="likelihood", memory=LITTLE
    ),
    "generator_price_bars": lambda: generator(
        bars(), transform=models.PriceBars(9.0), loss="likelihood", memory=LITTLE
    ),
    "generator_daily": lambda: generator(
        readings(), transform="daily", loss="likelihood", memory=LITTLE_DAY
    ),
    "generator_meter_readings": lambda: generator(
        readings(),
        transform=models.MeterReadings(24, None, weekly=False),
        loss="likelihood",
        memory=models.Memory(**{**vars(LITTLE_DAY), "calendar": models.Calendar(24, None, False)}),
    ),
}


def write(name: str) -> None:
    """Fit one model, save it, and write what the saved one answers."""
    folder = FOLDER / name
    MODELS[name]().save(folder)
    model = trajinfer.load(folder)
    answers = {f"answer.{key}": np.asarray(ask(model)) for key, ask in QUESTIONS[name].items()}
    for key, ask in LAWS.get(name, {}).items():
        drawn = ask(model, N_OF_LAWS)
        answers[f"mean.{key}"], answers[f"sd.{key}"] = drawn.mean(axis=1), drawn.std(axis=1)
    np.savez_compressed(folder / "answers.npz", **answers)


def main() -> None:
    """Write the models that are named, or all."""
    if trajinfer.__version__ != "0.1.0":
        raise SystemExit(f"this needs version 0.1.0 of trajinfer, not {trajinfer.__version__}")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in sys.argv[1:] or QUESTIONS:
        write(name)


if __name__ == "__main__":
    main()
