"""Posterior draws in the form of ArviZ."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.errors import InputError
from trajinfer._core.extras import import_extra
from trajinfer.jumps import MarkovJumpProcess
from trajinfer.jumps.bayes import N_CHAINS


def to_arviz(model: Any) -> Any:
    """The posterior draws of a fit as ArviZ reads them; needs the extra `arviz`.

    Args:
        model: a `MarkovJumpProcess` fitted by `method="bayes"`.

    Returns:
        A `DataTree` whose group `posterior` holds `rates` (chain, draw, state, next state) per unit
        of time; its diagonal is minus the rate of leaving.

    Raises:
        InputError: for a model without posterior draws.
        MissingExtra: where arviz-base is not installed.
        sklearn.exceptions.NotFittedError: before `fit`.
    """
    if not isinstance(model, MarkovJumpProcess):
        raise InputError(
            f"expected a MarkovJumpProcess, got {type(model).__name__}; other estimators have no "
            "posterior draws"
        )
    check_is_fitted(model)
    draws = getattr(model, "draws_", None)
    if draws is None:
        raise InputError(
            f"the fit by method={model.method!r} has no posterior draws; fit by method='bayes'"
        )
    states = list(map(str, model.states_))
    rates = np.asarray(draws).reshape(N_CHAINS, -1, len(states), len(states))
    return import_extra("arviz_base", "arviz").from_dict(
        {"posterior": {"rates": rates}},
        coords={"state": states, "next_state": states},
        dims={"rates": ["state", "next_state"]},
    )
