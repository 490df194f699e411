"""Settings of the estimators, checked and resolved to states."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from trajinfer._core.checks import (
    Array,
    as_array,
    require_finite,
    require_integer,
    require_positive,
)
from trajinfer._core.devices import require_cpu
from trajinfer._core.errors import InputError, nearest
from trajinfer.data.jump_series import JumpSeries
from trajinfer.markov.emission import EmissionModel, GaussianEmission, LabelNoise
from trajinfer.markov.simulate import as_emission

_START_ERROR = 0.05
_METHODS = ("auto", "em", "mle", "map", "bayes", "amortized")


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings of the estimator that contradict each other.

    Raises:
        InputError: naming the setting and a remedy.
    """
    require_cpu(settings["device"], "jump processes are algebra in double precision on the CPU")
    method, links = settings["method"], settings["links"]
    select = isinstance(links, str)
    if method not in _METHODS:
        given = str(method)
        raise InputError(f"unknown method {method!r}; {nearest(given, _METHODS)}")
    require_integer(settings["max_iter"], "max_iter", least=1)
    require_positive(settings["tol"], "tol")
    if select and links != "select":
        raise InputError(f"links must be a matrix, None or 'select'; {nearest(links, ['select'])}")
    if select and (method not in ("mle", "em") or settings["reversible"] or settings["model"]):
        raise InputError("links='select' needs method='mle' or 'em' and free rates")
    if settings["covariates"] is not None and (method not in ("auto", "mle", "em") or select):
        raise InputError(
            "covariates= are fitted by the likelihood: take method='mle' or 'auto', and links "
            "as a mask or None"
        )
    if settings["phases"] is not None and (
        method not in ("auto", "mle", "em")
        or select
        or settings["reversible"]
        or settings["model"] is not None
    ):
        raise InputError(
            "phases= are fitted by the likelihood: take method='mle' or 'auto', a mask of links "
            "or None, and leave out model= and reversible="
        )
    if settings["model"] is not None and method in ("bayes", "amortized", "map"):
        raise InputError("a model is fitted by its likelihood: take method='mle' or 'auto'")


def resolve_states(series: JumpSeries, n_states: int | None) -> tuple[Hashable, ...]:
    """The labels of the S states.

    Without `n_states` those of the series; with it 0 .. n_states - 1 for whole numbers.

    Raises:
        InputError: if labels and number do not fit, or there are fewer than two states.
    """
    labels = series.categories
    if n_states is None:
        if len(labels) < 2:
            raise InputError(
                f"only {len(labels)} state occurs in the data; a jump process needs two or more, "
                "so give n_states="
            )
        return labels
    if isinstance(n_states, bool) or not isinstance(n_states, (int, np.integer)) or n_states < 2:
        raise InputError(f"n_states must be a whole number of at least 2, got {n_states!r}")
    if all(isinstance(label, int) for label in labels):
        outside = [label for label in labels if int(str(label)) >= n_states]
        if outside:
            raise InputError(
                f"label {outside[0]} lies outside the {n_states} states 0 .. {n_states - 1}; "
                "raise n_states or correct the label"
            )
        return tuple(range(n_states))
    if len(labels) != n_states:
        raise InputError(
            f"{len(labels)} labels {labels[:8]} for n_states={n_states}; name them all by "
            "categories= of the JumpSeries"
        )
    return labels


def resolve_links(links: Any, n_states: int) -> Array:
    """(S, S) bool, False on the diagonal.

    Raises:
        InputError: if `links` is not a boolean matrix, nor None, nor "select".
    """
    off = ~np.eye(n_states, dtype=bool)
    if links is None or (isinstance(links, str) and links == "select"):
        return off
    if isinstance(links, str):
        raise InputError(f"links must be a matrix, None or 'select'; {nearest(links, ['select'])}")
    matrix = np.asarray(links)
    if matrix.shape != (n_states, n_states) or not np.isin(matrix, [0, 1]).all():
        raise InputError(
            f"links must be ({n_states}, {n_states}) of True and False, got shape {matrix.shape}"
        )
    return np.asarray(matrix.astype(bool) & off)


def resolve_emission(
    label_noise: Any, emission: GaussianEmission | None, n_states: int
) -> EmissionModel:
    """The observation model of the settings.

    Raises:
        InputError: if a setting is not valid.
    """
    if emission is not None and len(emission.means) != n_states:
        raise InputError(f"emission has {len(emission.means)} means for {n_states} states")
    if isinstance(label_noise, LabelNoise):
        if len(label_noise.matrix) != n_states:
            raise InputError(f"label_noise is not ({n_states}, {n_states})")
        return EmissionModel(
            n_states, None, label_noise.matrix, emission, learn_labels=label_noise.learn
        )
    if isinstance(label_noise, str):
        if label_noise != "learn":
            raise InputError(
                f"label_noise must be a probability, a matrix or 'learn', got {label_noise!r}"
            )
        return EmissionModel(n_states, _START_ERROR, None, emission, learn_error=True)
    matrix = as_emission(label_noise, n_states)
    if np.ndim(label_noise) == 0:
        return EmissionModel(n_states, float(label_noise), None, emission)
    return EmissionModel(n_states, None, matrix, emission)


def resolve_weights(sample_weight: Any, n_paths: int) -> Array | None:
    """(B,) weights of the paths; None where all count once.

    Raises:
        InputError: if they are not one number of at least 0 per path, or all are 0.
    """
    if sample_weight is None:
        return None
    weights = as_array(sample_weight, "sample_weight", ndim=1)
    require_finite(weights, "sample_weight")
    if len(weights) != n_paths or (weights < 0).any() or not weights.any():
        raise InputError(
            f"sample_weight must be {n_paths} numbers of at least 0, one per path, not all 0; got "
            f"{len(weights)} with a least one of {weights.min(initial=0.0):g}"
        )
    return weights
