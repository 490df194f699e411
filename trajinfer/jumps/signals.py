"""From a continuous signal to states: a Gaussian mixture, or a hidden Markov jump process."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import IdentifiabilityWarning, InputError
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps.estimator import MarkovJumpProcess
from trajinfer.markov.emission import GaussianEmission


def fit_mixture(
    signal: Any, n_states: int, *, random_state: RandomState = None
) -> GaussianEmission:
    """Means and deviations of a Gaussian mixture, in the order of the means.

    Args:
        signal: a `JumpSeries` with a signal, or an array of values; NaN is left out.
        n_states: S.
        random_state: of the starts.

    Returns:
        A `GaussianEmission`, the start of a fit with `MarkovJumpProcess(emission=...)`.

    Raises:
        InputError: if there are fewer values than states.

    Example:
        >>> values = np.concatenate([np.linspace(1, 3, 50), np.linspace(9, 11, 50)])
        >>> fit_mixture(values, 2, random_state=0).means.round(1).tolist()
        [2.0, 10.0]
    """
    values = np.ravel(_signal(signal) if isinstance(signal, JumpSeries) else np.asarray(signal))
    values = values[np.isfinite(values)].astype(float)
    if n_states < 2 or len(values) < 2 * n_states:
        raise InputError(f"{len(values)} values are too few for {n_states} states (at least 2)")
    centre, width = float(values.mean()), float(values.std()) or 1.0
    from sklearn.mixture import GaussianMixture  # two seconds to import, for signals only

    mixture = GaussianMixture(
        n_states, n_init=3, random_state=seed_from(random_state) % 2**32, reg_covar=1e-6
    ).fit((values[:, None] - centre) / width)
    order = np.argsort(mixture.means_[:, 0])
    return GaussianEmission(
        mixture.means_[order, 0] * width + centre,
        np.sqrt(mixture.covariances_[order, 0, 0]) * width,
    )


def states_from_signal(
    series: JumpSeries,
    n_states: int,
    *,
    method: Literal["mixture", "hmm"] = "mixture",
    random_state: RandomState = None,
) -> JumpSeries:
    """Label every value of the signal with a state 0 .. S - 1, in the order of the means.

    Args:
        series: paths with a signal.
        n_states: S.
        method: "mixture" labels each value alone, by the most probable component; "hmm" fits a
            hidden jump process and takes the most probable state given the whole path, which also
            uses the times. Estimating rates with `emission=` directly keeps the uncertainty that
            labels lose.
        random_state: of the mixture.

    Raises:
        InputError: if there is no signal, or the method is unknown.
    """
    signal = _signal(series)
    if method not in ("mixture", "hmm"):
        raise InputError(f"method must be 'mixture' or 'hmm', got {method!r}")
    emission = fit_mixture(series, n_states, random_state=random_state)
    seen = np.isfinite(signal)
    states = np.full(len(signal), -1)
    if method == "mixture":
        states[seen] = emission.log_density(signal[seen]).argmax(axis=1)
    else:
        bare = replace(series, categories=(), flat_states=states.copy(), candidates=None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IdentifiabilityWarning)
            model = MarkovJumpProcess(n_states, method="map", emission=emission).fit(bare)
        found = cast(Array, model.predict_proba(bare, series.times))
        fitted = emission if model.emission_ is None else model.emission_
        order = np.argsort(np.argsort(fitted.means))
        states[seen] = order[series.layout.flatten(found.argmax(axis=2))][seen]
    return replace(
        series,
        flat_states=states,
        categories=tuple(range(n_states)),
        candidates=None,
        flat_signal=None,
    )


def _signal(series: JumpSeries) -> Array:
    if series.flat_signal is None:
        raise InputError("the series has no signal; give signal= when it is made")
    return series.flat_signal
