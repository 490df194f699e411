"""The most probable states of each path, jointly over its observation times."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps.emission import EmissionModel
from trajinfer.jumps.hidden import HiddenData


class Decoding(HiddenData):
    """Viterbi's recursion over the observations of all paths at once."""

    def most_probable(self, rates: Array, initial: Array, emission: EmissionModel) -> Array:
        """(N,) states, by path and time; paths must not have been cut into pieces.

        Raises:
            InputError: if what was seen has probability 0.
        """
        stack, own = rates[None], np.eye(self.n_states)
        run = self._forward(stack, initial, emission)
        self._require_possible(run)
        best = np.empty_like(run.seen)
        origin = np.zeros(best.shape, dtype=np.int16)
        with np.errstate(divide="ignore"):
            best[: self.n_pieces] = np.log(initial * run.seen[: self.n_pieces])
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
        found = np.empty(len(best), dtype=np.int64)
        running = 0
        for step in range(len(self.counts))[::-1]:
            low, size = self.offsets[step], self.counts[step]
            state[running:size] = best[low + running : low + size].argmax(axis=1)
            found[low : low + size] = state[:size]
            state[:size] = origin[np.arange(low, low + size), state[:size]]
            running = size
        out = np.empty_like(found)
        out[self.source] = found
        return out


def most_probable_states(
    series: JumpSeries, rates: Array, initial: Array, emission: EmissionModel
) -> JumpSeries:
    """The series with the most probable states in place of what was seen.

    Args:
        series: the observations, with codes of the S states.
        rates: (S, S).
        initial: (S,) law at the first observation.
        emission: what is seen of the states.

    Raises:
        InputError: if what was seen has probability 0.

    References:
        Viterbi, Error bounds for convolutional codes, IEEE Trans. Inf. Theory 1967.
    """
    top, whole = 2 * float(-np.diag(rates).min()), max(series.times.shape[1], 1)
    data = Decoding(series, len(rates), top=top, keep_unseen=True, longest=whole)
    return series.with_states(data.most_probable(rates, initial, emission))
