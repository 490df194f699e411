"""The most probable states of each path, jointly over its observation times."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data.jump_series import JumpSeries
from trajinfer.markov.every_entry import at_every_entry
from trajinfer.markov.hidden import HiddenData
from trajinfer.markov.parameters import Parameters


class Decoding(HiddenData):
    """Viterbi's recursion over the observations of all paths at once."""

    def most_probable(self, parameters: Parameters) -> Array:
        """(N,) states, by path and time; paths must not have been cut into pieces.

        Raises:
            InputError: if the observations have probability 0.
        """
        stack, own = parameters.stack, np.eye(self.n_states)
        run = self._forward(parameters)
        self._require_possible(run)
        best = np.empty_like(run.evidence)
        origin = np.zeros(best.shape, dtype=np.int16)
        with np.errstate(divide="ignore"):
            best[: self.n_pieces] = np.log(parameters.initial * run.evidence[: self.n_pieces])
            for step, kernels in self._steps(stack, run):
                low, high = self.offsets[step], self.offsets[step + 1]
                before = np.broadcast_to(own, kernels.shape)
                moves = np.log(self._moved(before, kernels, low, run))
                scores = best[self.offsets[step - 1] :][: high - low, :, None] + moves
                origin[low:high], best[low:high] = scores.argmax(axis=1), scores.max(axis=1)
        return self._traced(best, origin)

    def _traced(self, best: Array, origin: Array) -> Array:
        """The states (N,) that the best scores at the ends of the paths come from."""
        state = np.zeros(self.n_pieces, dtype=np.int64)
        ordered = np.empty(len(best), dtype=np.int64)
        running = 0
        for step in range(len(self.counts))[::-1]:
            low, size = self.offsets[step], self.counts[step]
            state[running:size] = best[low + running : low + size].argmax(axis=1)
            ordered[low : low + size] = state[:size]
            state[:size] = origin[np.arange(low, low + size), state[:size]]
            running = size
        out = np.empty_like(ordered)
        out[self.source] = ordered
        return out


def most_probable_states(
    series: JumpSeries, parameters: Parameters, regimes: Array | None = None
) -> JumpSeries:
    """The series with the most probable states in place of the observations.

    Args:
        series: the observations, with codes of the S states.
        parameters: rates, law at the first observation, observation model.
        regimes: (N,) regime in force from each entry on.

    Raises:
        InputError: if the observations have probability 0.

    References:
        Viterbi, Error bounds for convolutional codes, IEEE Trans. Inf. Theory 1967.
    """
    longest = int(series.lengths.max())
    data = at_every_entry(Decoding, series, parameters, regimes, longest=longest)
    return series.with_states(data.most_probable(parameters))
