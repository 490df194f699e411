"""How models saved by version 0.1 are asked: one row per model, one entry per answer.

The words are valid in version 0.1 and after it: the data come first and without a name, times are
arrays, the number of draws goes by its name, and nothing is asked whose unit or meaning changed.
Answers are arrays. `LAWS` holds those of which only the law is kept, as a mean and a standard
deviation over many draws, because draws of different series were not independent in version 0.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from trajinfer import IrregularSeries, JumpSeries

Answers = Mapping[str, Callable[[Any], Any]]

POINTS = np.array([[0.8, 1.1], [1.4, 0.6], [2.0, 1.7]])
DAYS = np.array(["2024-03-01", "2024-03-02T12", "2024-03-04", "2024-03-05"], "M8[ns]")
LATER_DAYS = np.array(["2024-03-06", "2024-03-08T06"], "M8[ns]")


def waves(n: int, times: Any, channels: tuple[str, ...], **parts: Any) -> IrregularSeries:
    """Series of sines that need no generator of random numbers; some values are not observed."""
    place = np.arange(np.shape(times)[-1], dtype=float)
    row, channel = np.arange(n)[:, None, None], np.arange(len(channels))
    values = np.sin(0.7 * place[:, None] + row + 0.5 * channel) + 0.2 * row
    holes = (place[:, None] + row + 2 * channel) % 5 == 3
    values = np.where(holes, np.nan, values)
    return IrregularSeries.from_arrays(times, values, channels=channels, **parts)


TIMES = np.array([0.0, 0.4, 1.0, 1.3, 2.0, 2.6, 3.0])
NAMES = ("height", "weight")
SERIES = waves(3, TIMES, NAMES)
WITH_STATICS = waves(3, TIMES, NAMES, statics=np.array([[0.0, 1.0], [1.0, -1.0], [0.5, 0.0]]))
DATED = waves(3, np.datetime64("2024-03-01", "ns") + (24 * TIMES).astype("m8[h]"), NAMES)
LATER = np.array([3.2, 3.9, 4.5])
BETWEEN = np.array([0.2, 1.1, 2.9])

LABELS = JumpSeries.from_arrays(
    [[0.0, 0.5, 1.1, 1.6], [0.0, 0.7, 0.9, 2.0]], [["a", "b", "b", "a"], ["b", "b", "a", "c"]]
)
CODES = JumpSeries.from_arrays([[0.0, 0.5, 1.1, 1.6], [0.0, 0.7, 0.9, 2.0]], [[0, 1, 1, 0]] * 2)
DATED_CODES = JumpSeries.from_arrays([DAYS, DAYS], [[0, 1, 2, 2], [0, 0, 1, 2]])
SIGNALS = JumpSeries.from_arrays(
    [[0.0, 0.5, 1.1, 1.6], [0.0, 0.7, 0.9, 2.0]],
    None,
    signal=[[0.1, 2.8, 3.4, -0.5], [2.2, 2.9, 0.3, 0.6]],
)


def _bridge(inside: Any, ahead: Any) -> Answers:
    """A population between its snapshots and after the last one."""
    return {
        "sample": lambda m: m.sample(6, inside, random_state=3).values,
        "sample_with_the_seed_of_the_fit": lambda m: m.sample(4).values,
        "marginal": lambda m: m.marginal(inside[1], 5, random_state=4),
        "forecast": lambda m: m.forecast(ahead, n=4, random_state=5).values,
        "predict": lambda m: m.predict(POINTS, inside[0], inside),
        "velocity": lambda m: m.velocity(POINTS, inside[1]),
        "coupling": lambda m: _between_atoms(m),
        "parameters": lambda m: _numbers(m.parameters_),
        "volatility": lambda m: m.volatility_,
        "objective": lambda m: m.objective_history_,
        "converged": lambda m: m.converged_,
    }


def _jumps(data: JumpSeries, ts: Any, *, uncertain: bool = True) -> Answers:
    """Rates, their uncertainty, and what follows for paths."""
    answers: dict[str, Callable[[Any], Any]] = {
        "rates": lambda m: m.rates_,
        "initial": lambda m: m.initial_,
        "label_noise": lambda m: m.label_noise_,
        "states": lambda m: np.array(m.states_),
        "log_likelihood": lambda m: m.log_likelihood(data),
        "score": lambda m: m.score(data),
        "predict_proba": lambda m: m.predict_proba(data, ts),
        "most_probable_states": lambda m: m.most_probable_states(data).states,
        "sample": lambda m: m.sample(5, ts, random_state=7).states,
        "passage_times": lambda m: m.mean_first_passage_times(),
    }
    if uncertain:
        answers |= {
            "std_errors": lambda m: m.std_errors_,
            "intervals": lambda m: m.intervals_,
            "draw_rates": lambda m: m.draw_rates(3, random_state=8),
            "relaxation_interval": lambda m: np.stack(
                m.interval("relaxation_times", n=20, random_state=9)
            ),
            "expected_jumps": lambda m: m.expected_jumps_,
        }
    return answers


def _fractional(durations: Any) -> Answers:
    """Parameters and draws from the prior."""
    names = ("hurst_", "hurst_interval_", "theta_", "mean_", "volatility_", "noise_", "elbo_")
    answers: dict[str, Callable[[Any], Any]] = {
        name: lambda m, name=name: getattr(m, name) for name in (*names, "stationary_", "horizon_")
    }
    answers["sample"] = lambda m: m.sample(4, durations, random_state=2).values
    return answers


def _forecasts(data: IrregularSeries, ts: Any) -> Answers:
    return _drawn_forecasts(data, ts) | {"predict": lambda m: m.predict(data, ts)}


def _drawn_forecasts(data: IrregularSeries, ts: Any) -> Answers:
    return {
        "forecast": lambda m: m.forecast(data, ts, n=5, random_state=1).samples,
        "forecast_with_the_seed_of_the_fit": lambda m: m.forecast(data, ts, n=3).samples,
    }


def _interpolations(data: IrregularSeries, ts: Any) -> Answers:
    return {
        "interpolate": lambda m: m.interpolate(data, ts, n=5, random_state=1).samples,
        "interpolate_with_the_seed_of_the_fit": lambda m: m.interpolate(data, ts, n=3).samples,
    }


def _generator(ts: Any = None) -> Answers:
    answers: dict[str, Callable[[Any], Any]] = {
        "sample": lambda m: m.sample(4, random_state=6).values,
        "sample_with_the_seed_of_the_fit": lambda m: m.sample(3).values,
        "channels": lambda m: np.array(m.channels_),
    }
    if ts is not None:
        answers["sample_at_other_times"] = lambda m: m.sample(3, ts, random_state=6).values
    return answers


def _classes(data: IrregularSeries) -> Answers:
    return {
        "predict_proba": lambda m: m.predict_proba(data),
        "predict": lambda m: m.predict(data),
        "classes": lambda m: m.classes_,
    }


_INSIDE, _AHEAD = np.array([0.0, 0.6, 1.0, 2.2]), np.array([2.5, 3.0])
_DATED_INSIDE = np.array(["2024-03-01", "2024-03-01T18", "2024-03-03"], "M8[ns]")
_DURATIONS = np.array([0.0, 0.5, 2.0])
_HOURS = np.array([0, 12, 30], "m8[h]")
_JUMP_TIMES = np.array([0.2, 1.3, 2.4])
_DATED_TIMES = np.array(["2024-03-01T12", "2024-03-04", "2024-03-07"], "M8[ns]")

QUESTIONS: Mapping[str, Answers] = {
    "bridge_brownian": _bridge(_INSIDE, _AHEAD),
    "bridge_lotka_volterra": _bridge(_INSIDE, _AHEAD),
    "bridge_affine": _bridge(_INSIDE, _AHEAD),
    "bridge_linear_noise": _bridge(_INSIDE, _AHEAD),
    "bridge_learned_volatility": _bridge(_INSIDE, _AHEAD),
    "bridge_weights": _bridge(_INSIDE, _AHEAD),
    "bridge_dates": _bridge(_DATED_INSIDE, LATER_DAYS),
    "bridge_thinned": _bridge(_INSIDE, _AHEAD),
    "jumps_mle_label_noise": _jumps(LABELS, _JUMP_TIMES),
    "jumps_links": _jumps(DATED_CODES, _DATED_TIMES),
    "jumps_reversible": _jumps(CODES, _JUMP_TIMES),
    "jumps_model": _jumps(CODES, _JUMP_TIMES),
    "jumps_bayes": _jumps(CODES, _JUMP_TIMES) | {"draws": lambda m: m.draws_[::100]},
    "jumps_gaussian": _jumps(SIGNALS, _JUMP_TIMES)
    | {"emission": lambda m: np.stack([m.emission_.means, m.emission_.stds])},
    "jumps_amortized": _jumps(CODES, _JUMP_TIMES),
    "jumps_auto": _jumps(CODES, _JUMP_TIMES),
    "jumps_from_rates": _jumps(LABELS, _JUMP_TIMES, uncertain=False),
    "fractional_exact": _fractional(_DURATIONS),
    "fractional_dates": _fractional(_HOURS),
    "fractional_variational": _fractional(_DURATIONS)
    | _drawn_forecasts(SERIES, LATER)
    | _interpolations(SERIES, BETWEEN),
    "fractional_latent": _fractional(_DURATIONS) | _drawn_forecasts(SERIES, LATER),
    "classifier_langevin": _classes(SERIES),
    "classifier_geometric_statics": _classes(WITH_STATICS),
    "classifier_latent_sde": _classes(SERIES),
    "classifier_gru": _classes(DATED),
    "regressor_linear_noise": {"predict": lambda m: m.predict(SERIES)},
    "regressor_cde": {"predict": lambda m: m.predict(SERIES)},
    "regressor_clipped": {"predict": lambda m: m.predict(SERIES)},
    "forecaster_langevin": _forecasts(SERIES, LATER),
    "forecaster_window": _forecasts(SERIES, LATER),
    "forecaster_without_noise": _forecasts(SERIES, LATER),
    "forecaster_ode_rnn": _forecasts(SERIES, LATER),
    "forecaster_dates": _forecasts(DATED, LATER_DAYS),
    "interpolator_free": _interpolations(SERIES, BETWEEN),
    "interpolator_dates": _interpolations(DATED, DAYS[:3]),
    "generator_chain": _generator([0.0, 0.3, 2.0])
    | {"walk": lambda m: np.stack([link.values for link in m.walk(3, 2, random_state=6)])},
    "generator_plain": _generator([0.0, 0.3, 2.0]),
    "generator_path_loss": _generator([0.0, 0.3, 2.0]),
    "generator_critic": _generator([0.0, 0.3, 2.0]),
    "generator_pool": _generator([0.0, 0.3, 2.0]),
    "generator_relative": _generator(),
    "generator_price_bars": _generator(),
    "generator_daily": _generator(),
    "generator_meter_readings": _generator(),
}

# answers that are means of draws: of 100 in version 0.1, of others now
MEANS: Mapping[str, Mapping[str, tuple[Callable[[Any], Any], Callable[[Any, int], Any]]]] = {
    name: {
        "predict": (
            lambda m: m.predict(SERIES, LATER),
            lambda m, n: m.forecast(SERIES, LATER, n=n, random_state=1).samples,
        )
    }
    for name in ("fractional_variational", "fractional_latent")
}

LAWS: Mapping[str, Mapping[str, Callable[[Any, int], Any]]] = {
    "fractional_exact": {
        "forecast": lambda m, n: m.forecast(SERIES, LATER, n=n, random_state=1).samples,
        "interpolate": lambda m, n: m.interpolate(SERIES, BETWEEN, n=n, random_state=1).samples,
    },
    "fractional_dates": {
        "forecast": lambda m, n: m.forecast(DATED, LATER_DAYS, n=n, random_state=1).samples,
    },
}


def _between_atoms(bridge: Any) -> np.ndarray:
    """The first coupling, with zeros for cells that were no atoms: other cells got theirs later."""
    path_law, atoms = bridge._on_atoms()
    plan = np.zeros([len(points) for points in bridge.snapshots_.points[:2]])
    plan[np.ix_(atoms[0], atoms[1])] = path_law.plan(0).numpy()
    return plan


def _numbers(parameters: Mapping[str, Any]) -> np.ndarray:
    """All parameters in the order of their names."""
    parts = [np.ravel(np.asarray(parameters[name], dtype=float)) for name in sorted(parameters)]
    return np.concatenate([np.zeros(0), *parts])
