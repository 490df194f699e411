"""What a fitted jump process says of paths: the states that they are in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.checks import Array
from trajinfer._core.estimator import Estimator
from trajinfer.data.input import as_jump_series
from trajinfer.data.jump_series import JumpSeries
from trajinfer.data.written_predictions import written_predictions
from trajinfer.jumps.model import JumpModel


class StatesOfPaths(Estimator):
    """An estimator fitted to paths, asked for their states.

    Attributes:
        model_: the `JumpModel`.
    """

    model_: JumpModel

    def predict_proba(self, X: Any, ts: Any, *, out: str | Path | None = None) -> Array | Path:
        """Probabilities of the states at the times `ts`, given all observations of each path.

        Args:
            X: the observations.
            ts: one time, (T,) or (B, T), in any order, not before the first observation of a path;
                later than its last one is a forecast.
            out: folder to write tables to (id, time, and the probability of every state, in
                parquet), some paths at a time as the memory of an open table allows; a call that
                was killed goes on. It takes times that all paths share.

        Returns:
            (B, T, S); the folder where there is an `out`.

        Raises:
            InputError: if a time is too early or a label unknown.
        """
        check_is_fitted(self)
        if out is None:
            return self.model_.predict_proba(as_jump_series(X), ts)
        asked = {"ts": ts}
        return written_predictions(out, X, self.model_, asked, self._laws, read=as_jump_series)

    def most_probable_states(self, X: Any) -> JumpSeries:
        """The most probable states at the observation times, jointly along each path.

        Where `predict_proba` gives the law of each state alone, this is the one sequence of states
        with the largest probability given all observations of the path (Viterbi's algorithm).

        Args:
            X: the observations; an entry that is missing gets a state as well.

        Returns:
            The same paths and times with these states.

        Raises:
            InputError: if a label is unknown, or the observations have probability 0.

        Example:
            >>> from trajinfer.jumps import MarkovJumpProcess
            >>> model = MarkovJumpProcess.from_rates([[-1, 1], [1, -1]], label_noise=0.1)
            >>> labels = JumpSeries.from_arrays([0, 0.1, 0.2, 0.3], [[0, 0, 1, 0]])
            >>> model.most_probable_states(labels).states.tolist()
            [[0, 0, 0, 0]]
        """
        check_is_fitted(self)
        return self.model_.most_probable_states(as_jump_series(X))

    def _laws(self, series: JumpSeries, ts: Any) -> pd.DataFrame:
        """The probabilities as a table, a row per path and time."""
        laws = self.model_.predict_proba(series, ts)
        times = series.axis.queries(ts, len(series))
        columns = {
            "id": pd.Index(list(series.ids)).repeat(times.shape[1]),
            "time": series.axis.decode(times.ravel()),
        }
        states = zip(self.model_.states, laws.reshape(-1, laws.shape[-1]).T)
        return pd.DataFrame(columns | {f"probability of {state}": p for state, p in states})
