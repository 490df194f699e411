"""The law of the next state given the observations so far."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data.jump_series import JumpSeries
from trajinfer.markov.every_entry import at_every_entry
from trajinfer.markov.hidden import HiddenData
from trajinfer.markov.parameters import Parameters


class Prediction(HiddenData):
    """The forward recursion over the observations of all paths at once."""

    def laws(self, parameters: Parameters) -> Array:
        """(N, S) laws of the states at all entries; paths must not have been cut into pieces.

        Raises:
            InputError: if the observations have probability 0.
        """
        run = self._forward(parameters)
        self._require_possible(run)
        laws = np.empty_like(run.filtered)
        laws[: self.n_pieces] = parameters.initial
        for step, kernels in self._steps(parameters.stack, run):
            low, high = self.offsets[step], self.offsets[step + 1]
            before = run.filtered[self.offsets[step - 1] :][: high - low, None]
            laws[low:high] = np.matmul(before, kernels)[:, 0]
        out = np.empty_like(laws)
        out[self.source] = laws
        return out


def predicted_laws(
    series: JumpSeries, parameters: Parameters, regimes: Array | None = None
) -> Array:
    """(N, S) law of the state at every entry, given the observations of its path before it.

    Args:
        series: paths with codes of the S states, without absorptions or exact jumps.
        parameters: rates, law at the first observation, observation model.
        regimes: (N,) regime in force from each entry on.

    Raises:
        InputError: if the observations have probability 0.
    """
    longest = int(series.lengths.max())
    data = at_every_entry(Prediction, series, parameters, regimes, longest=longest)
    return data.laws(parameters)
