"""Fits that keep what they did, one of every kind: folder or None -> the numbers of the answer.

Small, but of several pieces each: segments and rounds of bridges, networks, searches, blocks of
draws, refits, and answers that are written in parts.
"""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from tests.conformance import estimators as cases
from trajinfer import (
    DirectedChainGenerator,
    FractionalSDE,
    IrregularSeries,
    MarkovJumpProcess,
    NeuralSDEForecaster,
    SchrodingerBridge,
    ScoreSeries,
    Snapshots,
    StochasticInterpolant,
    evaluation,
    jumps,
)
from trajinfer.bridges import fit_together
from trajinfer.functionals import fit_interval, hitting_time, states
from trajinfer.generation import CDECritic, Memory, TransitionLikelihood
from trajinfer.processes import AffineDrift, DoubleWell, OrnsteinUhlenbeck
from trajinfer.recognition.training import fresh_network, train_network
from trajinfer.training import Checkpoint

SEGMENTS = np.arange(9) / 2  # eight of them


def paths(n):
    """Paths of two labels."""
    return jumps.simulate([[-1, 1], [1, -1]], [1, 0], n, [0, 0.4, 1], random_state=0)


def clouds(times=SEGMENTS, n=12):
    """Snapshots of a process that falls to rest."""
    rng = np.random.default_rng(0)
    return Snapshots(times, [rng.normal(0.8**t, 0.4, (n, 1)) for t in times])


def few_clouds():
    """Four snapshots, of more points."""
    return clouds(SEGMENTS[:4], 20)


def two_clouds():
    """Two snapshots."""
    return clouds([0.0, 1.0], 20)


def learning():
    """A reference with a number to learn."""
    return OrnsteinUhlenbeck(theta=1.0, mean=0.5, volatility=0.5, dim=1).learn("theta")


def fitted_draws(make, data, draw, folder):
    """What a fit draws."""
    return draw(make(random_state=0, checkpoint=folder).fit(*data()))


def bridge_of(data, folder, reference=learning, **settings):
    """Paths of a bridge, and what it learned."""
    settings = {"n_refinements": 3, "random_state": 0, "checkpoint": folder, **settings}
    bridge = SchrodingerBridge(reference(), **settings).fit(data())
    learned = [np.ravel(value) for value in bridge.parameters_.values()]
    drawn = bridge.sample(5, SEGMENTS[:3], random_state=1).values
    return np.concatenate([*learned, drawn.ravel()])


def spring():
    """Position and speed of a spring, of which only positions are seen."""
    return AffineDrift(2, [[0.0, 1.0], [-1.2, -0.4]], [0.0, 0.0], volatility=[0.2, 0.5])


def growing(folder):
    """Mass grows where positions are high."""
    data = few_clouds()
    sized = Snapshots(data.times, data.points, sizes=[20.0, 24.0, 29.0, 35.0])
    bridge = SchrodingerBridge(
        volatility=0.5, growth="learn", random_state=0, checkpoint=folder
    ).fit(sized)
    return bridge.sample(5, [0.25, 1.0], random_state=1).values


def bootstrap(folder):
    """Rates of six refits."""
    model = MarkovJumpProcess(2, method="mle", random_state=0).fit(paths(15))
    return model.bootstrap(6, checkpoint=folder)


def posterior(folder):
    """Rates by Hamiltonian Monte Carlo, in blocks."""
    model = MarkovJumpProcess(method="bayes", random_state=0, checkpoint=folder)
    return model.fit(paths(30)).draws_


def drift_of(fitted):
    """What is kept of a refit."""
    return np.ravel(fitted.parameters_["theta"])


def bootstrap_of_bridges(folder):
    """A parameter of six refits to eight segments."""
    estimator = SchrodingerBridge(learning(), n_refinements=2)
    return evaluation.bootstrap(
        estimator, clouds(), 6, statistic=drift_of, random_state=0, checkpoint=folder
    )


def together(folder):
    """A parameter that two experiments share."""
    experiments = {"one": few_clouds(), "other": clouds(SEGMENTS[:3], 15)}
    estimator = SchrodingerBridge(learning(), n_refinements=3, random_state=0)
    bridges = fit_together(estimator, experiments, checkpoint=folder)
    drawn = [bridge.sample(5, [0.25], random_state=1).values for bridge in bridges.values()]
    return np.concatenate([drift_of(bridges["one"]), *map(np.ravel, drawn)])


def interval_of_an_answer(folder):
    """Ends of an interval over rates as plausible as the data leave them."""
    model = MarkovJumpProcess(2, method="mle", random_state=0).fit(paths(30))
    found = fit_interval(
        hitting_time(states(1)), model, [0], n=10, random_state=0, checkpoint=folder
    )
    return np.concatenate([found.value, found.lower, found.upper])


def goodness(folder):
    """Statistics of data sets drawn from a model."""
    model = MarkovJumpProcess(2, method="mle", random_state=0).fit(paths(15))
    return model.goodness_of_fit(n_bootstrap=6, checkpoint=folder).statistics


def left_out(folder):
    """Scores of snapshots that were held out."""
    estimator = SchrodingerBridge(learning(), n_refinements=1, random_state=0)
    table = evaluation.leave_one_snapshot_out(estimator, few_clouds(), checkpoint=folder)
    return table[["estimator", "persistence"]].to_numpy()


def velocities(bridge):
    """What is asked of every refit."""
    return bridge.velocity([[0.2], [0.6]], 0.7)


def intervals(folder):
    """Ends of intervals over refits to reweighted points."""
    bridge = SchrodingerBridge(learning(), n_refinements=1, random_state=0).fit(few_clouds())
    return evaluation.cell_intervals(bridge, velocities, n=6, random_state=0, checkpoint=folder)


def volatility(folder):
    """A volatility chosen by halves and by left-out snapshots."""
    choice = evaluation.choose_volatility(
        SchrodingerBridge(random_state=0),
        few_clouds(),
        factors=[1.0, 2.0],
        n_splits=2,
        random_state=0,
        checkpoint=folder,
    )
    return np.concatenate([choice.corrected, choice.left_out["distance"]])


def recognition(folder):
    """Weights of a network that learned from processes simulated on the fly."""
    network = fresh_network(0, width=4, n_rounds=1)
    hooks = []
    if folder is not None:
        folder.mkdir(exist_ok=True)
        hooks = [Checkpoint(folder / "training.safetensors")]
    train_network(network, 8, 0, callbacks=hooks)
    return np.concatenate([p.detach().numpy().ravel() for p in network.parameters()])


def written(folder):
    """Draws that are written in parts."""
    model = MarkovJumpProcess(2, method="mle", random_state=0).fit(paths(15))
    with tempfile.TemporaryDirectory() as home:
        out = Path(home) / "whole" if folder is None else folder
        table = pd.read_parquet(model.sample(25_000, [0.0, 0.5], random_state=1, out=out))
    return table.to_numpy(dtype=float)


def whole_series(model):
    """Draws at the times of the data."""
    return model.sample(5).values


def values(model):
    """Draws at given times."""
    return model.sample(5, [0.0, 1.0, 2.0]).values


def forecasts(model):
    """Paths of the first series."""
    return model.forecast(cases.random_walks()[0], [4.0], 3).samples


def prices():
    """30 positive series of two channels at twenty times."""
    steps = 0.01 * np.random.default_rng(0).normal(size=(30, 20, 2))
    return (IrregularSeries.from_arrays(np.arange(20.0), np.exp(steps.cumsum(1))),)


CRITIC = CDECritic(n_steps=4, batch_size=8, signature_depth=2)
CHAIN = {"hidden": (4,), "chain_steps": 1, "transform": "standard"}
FITS = {
    "bootstrap": bootstrap,
    "posterior": posterior,
    "bridge of eight segments": partial(bridge_of, clouds),
    "bridge with quadrature": partial(bridge_of, few_clouds, reference=DoubleWell, volatility=0.4),
    "bridge of mixtures": partial(bridge_of, few_clouds, backend="mixture"),
    "bridge by a network": partial(bridge_of, two_clouds, backend="matching"),
    "bridge in turns": partial(bridge_of, two_clouds, backend="ipf"),
    "bridge with a learned volatility": partial(
        bridge_of, few_clouds, reference=partial(OrnsteinUhlenbeck, dim=1), volatility="learn"
    ),
    "bridge with hidden coordinates": partial(
        bridge_of, few_clouds, reference=spring, observed=[0], n_refinements=0
    ),
    "growing bridge": growing,
    "bootstrap of bridges": bootstrap_of_bridges,
    "bridges of two experiments": together,
    "interval of an answer": interval_of_an_answer,
    "goodness of fit": goodness,
    "left-out snapshots": left_out,
    "intervals of cells": intervals,
    "choice of volatility": volatility,
    "score network of series": partial(
        fitted_draws,
        partial(ScoreSeries, "network", hidden=8, layers=1, max_epochs=20, n_evaluations=3),
        cases.random_walks,
        values,
    ),
    "interpolant": partial(
        fitted_draws,
        partial(StochasticInterpolant, hidden=8, layers=1, max_epochs=20, n_evaluations=3),
        cases.stacked_snapshots,
        values,
    ),
    "latent forecaster": partial(
        fitted_draws,
        partial(NeuralSDEForecaster, "gru", horizon=1.5, **cases.SMALL),
        cases.random_walks,
        forecasts,
    ),
    "chain with a critic": partial(
        fitted_draws,
        partial(
            DirectedChainGenerator,
            loss=(TransitionLikelihood(n_steps=4, batch_size=8), CRITIC),
            **CHAIN,
        ),
        cases.random_walks,
        whole_series,
    ),
    "generator of prices": partial(
        fitted_draws,
        partial(
            DirectedChainGenerator,
            transform="relative",
            memory=Memory(n_steps=20, ensemble=2, hidden=(4,)),
        ),
        prices,
        whole_series,
    ),
    "generator of rows": partial(
        fitted_draws,
        partial(DirectedChainGenerator, transform="rows"),
        cases.random_walks,
        whole_series,
    ),
    "long memory of unknown index": partial(
        fitted_draws,
        partial(FractionalSDE, n_ou=4),
        cases.random_walks,
        values,
    ),
    "long memory by a network": partial(
        fitted_draws,
        partial(FractionalSDE, hurst=0.7, n_ou=4, drift="mlp", max_epochs=2),
        cases.random_walks,
        values,
    ),
    "recognition network": recognition,
    "written draws": written,
}
