"""Checks of settings and data of `FractionalSDE`, before any work."""

from __future__ import annotations

from typing import Any

import numpy as np

from trajinfer._core.checks import Array, require_integer, require_positive, require_widths
from trajinfer._core.errors import InputError, nearest
from trajinfer.data import IrregularSeries
from trajinfer.data.scaling import is_constant
from trajinfer.fractional.normalization import as_hurst, check_type

_WORDS = {
    "drift": ("linear", "mlp"),
    "inference": ("auto", "exact", "variational"),
    "likelihood": ("gaussian", "student_t"),
}
_FEWEST = 4


def check_settings(settings: Any) -> None:
    """Refuse settings of `FractionalSDE` that cannot be used.

    Raises:
        InputError: naming the setting.
    """
    for name, known in _WORDS.items():
        value = getattr(settings, name)
        if value not in known:
            raise InputError(f"{name}={value!r} is unknown; {nearest(str(value), known)}")
    check_type(settings.fbm_type)
    for name in ("n_ou", "max_epochs", "batch_size"):
        require_integer(getattr(settings, name), name, least=1)
    require_widths(settings.hidden, "hidden")
    if settings.latent_dim is not None:
        require_integer(settings.latent_dim, "latent_dim", least=1)
    require_positive(settings.lr, "lr")
    if settings.step is not None:
        require_positive(settings.step, "step")
    conjugate = settings.drift == "linear" and settings.likelihood == "gaussian"
    if settings.inference == "exact" and not (conjugate and settings.latent_dim is None):
        raise InputError(
            "inference='exact' needs drift='linear', likelihood='gaussian' and no latent_dim; "
            "take inference='auto'"
        )


def fixed_hurst(hurst: Any, n_processes: int) -> Array | None:
    """The given indices, one per process, or None where they are learned.

    Raises:
        InputError: for another word, an index outside (0, 1), or a wrong number of them.
    """
    if isinstance(hurst, str):
        if hurst != "learn":
            raise InputError(f"hurst must be 'learn', a number or (C,), got {hurst!r}")
        return None
    given = np.atleast_1d(as_hurst(hurst).detach().numpy())
    if given.shape not in {(1,), (n_processes,)}:
        raise InputError(f"hurst must have one value or {n_processes}, got {len(given)}")
    return np.broadcast_to(given, n_processes).copy()


def check_data(series: IrregularSeries) -> None:
    """Refuse series from which nothing can be learned.

    Raises:
        InputError: for one observation, a constant or an empty channel.
    """
    known = ~np.isnan(series.flat_values)
    constant = is_constant(series.flat_values)
    for c, name in enumerate(series.channels):
        if known[:, c].sum() < _FEWEST:
            raise InputError(
                f"channel {name} has {known[:, c].sum()} observations, at least {_FEWEST} are "
                "needed; leave it out"
            )
        if constant[c]:
            raise InputError(f"channel {name} is constant; drop it, its noise has no index")
    if not (series.lengths > 1).any():
        raise InputError("every series has a single time; a process needs at least two")


def median_gap(series: IrregularSeries) -> float:
    """Median duration between neighbouring times of a series."""
    gaps = np.diff(series.flat_times)[np.diff(series.layout.series) == 0]
    return float(np.median(gaps))
