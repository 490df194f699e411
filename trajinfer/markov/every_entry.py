"""Hidden states that are asked for at every entry, seen or not, under known parameters."""

from __future__ import annotations

from typing import TypeVar

from trajinfer._core.checks import Array
from trajinfer.data.jump_series import JumpSeries
from trajinfer.markov.hidden import HiddenData
from trajinfer.markov.parameters import Parameters

Data = TypeVar("Data", bound=HiddenData)


def at_every_entry(
    kind: type[Data],
    series: JumpSeries,
    parameters: Parameters,
    regimes: Array | None,
    *,
    longest: int | None = None,
) -> Data:
    """The data of a kind of question.

    Args:
        kind: what is asked of them.
        series: with codes of the S states.
        parameters: rates, law at the first observation, observation model.
        regimes: (N,) regime in force from each entry on.
        longest: see `observed_rows`.
    """
    return kind(
        series,
        len(parameters.initial),
        top=2 * parameters.fastest,
        keep_unseen=True,
        longest=longest,
        regimes=regimes,
        n_regimes=len(parameters.stack),
    )
