"""What fits the same settings to other paths: the bootstrap, and tests of the fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.checkpoint_folder import checkpointed, once
from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState
from trajinfer.data.input import as_jump_series
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps.bootstrap import resampled_rates
from trajinfer.jumps.fitted import FittedJumpProcess
from trajinfer.jumps.goodness import GoodnessOfFit, GroupingPlan, goodness_of_fit
from trajinfer.jumps.model import JumpModel
from trajinfer.jumps.visits import Clock


class RefittedJumpProcess(FittedJumpProcess):
    """A fitted jump process whose settings can be fitted again."""

    _series: JumpSeries

    def bootstrap(
        self,
        n: int,
        X: Any = None,
        *,
        random_state: RandomState = None,
        n_jobs: int | None = None,
        checkpoint: str | Path | None = None,
    ) -> Array:
        """(n, S, S) rates refitted to paths drawn again with replacement.

        Args:
            n: number of refits.
            X: the data; None takes those of the fit.
            random_state: None takes the estimator's.
            n_jobs: workers, of the back end of `joblib.parallel_config`; -1 takes all cores, None
                what is configured there, else 1. The rates are the same for any number.
            checkpoint: folder in which every refit is kept as it is done, so that a call that was
                killed goes on from there.

        Raises:
            InputError: if there are fewer than two paths, or the data are not kept.
        """
        check_is_fitted(self)
        series = self._data(X)
        if len(series) < 2:
            raise InputError("the bootstrap draws whole paths and needs at least two of them")
        series = series.recode(self.states_)
        seed = self._draw_seed(random_state)
        n = require_integer(n, "n", least=1)
        if self.method_ == "given":
            return np.tile(self.model_.rates, (n, 1, 1))
        worker = self._unfitted().set_params(n_states=None, random_state=seed)

        def identity() -> dict[str, Any]:
            return {"estimator": worker, "paths": series, "n": n}

        with checkpointed(checkpoint, "bootstrap of rates", identity):
            return np.stack(resampled_rates(worker, series, n, seed, n_jobs))

    def goodness_of_fit(
        self,
        X: Any = None,
        *,
        clock: Clock = "start",
        n_times: int = 2,
        n_gaps: int = 3,
        n_imputations: int = 20,
        n_bootstrap: int = 0,
        ts: Any = None,
        random_state: RandomState = None,
        n_jobs: int | None = None,
        checkpoint: str | Path | None = None,
    ) -> GoodnessOfFit:
        r"""Whether the data look as the model says: Pearson's test, and prevalence.

        Pairs of consecutive labels are counted by the time on a clock, the gap and the two labels,
        and compared with the numbers that the model expects given everything observed before:
        $\sum (O - E)^2 / E$. After a death at a known time the next visit is drawn from the gaps of
        others. The law of the statistic lies between two chi-squared laws; the
        bootstrap draws data from the model at the same visits and fits each of them again.

        Args:
            X: the data; None takes those of the fit. Paths count once, whatever their weight.
            clock: "start" groups by the time since the start of the path, "entry" by the time
                since the state was first seen in a row, which tells whether sojourns are
                exponential.
            n_times: groups of times on that clock.
            n_gaps: groups of gaps within each.
            n_imputations: draws of the visits after deaths.
            n_bootstrap: data sets for a p-value by simulation; 0 gives bounds only.
            ts: (T,) durations at which prevalence is compared; None takes ten.
            random_state: None takes the estimator's.
            n_jobs: workers that fit the data sets of the bootstrap, as of `bootstrap`.
            checkpoint: folder in which the statistic of every data set of the bootstrap is kept as
                it is done, so that a call that was killed goes on from there.

        Returns:
            The report; `print` shows the findings in words, `plot.goodness_of_fit` its cells.

        Raises:
            InputError: if the data are not kept, or give exact times of jumps, or a signal.

        References:
            Aguirre-Hernandez and Farewell, Stat. Med. 2002; Titman and Sharples, Stat. Med. 2008.
        """
        check_is_fitted(self)
        series = self._data(X)
        if self.emission_ is not None:
            raise InputError("goodness of fit compares labels; this model is one of a signal")
        asked = GroupingPlan(clock, n_times, n_gaps, n_imputations, n_bootstrap)
        times = self.prevalence_times(series, 11)[1:] if ts is None else ts
        given = self.model_ if self.method_ == "given" else None
        refit = SameSettings(self._unfitted().set_params(n_states=None), given)

        def identity() -> dict[str, Any]:
            return {"model": self.model_, "refit": refit, "paths": series, "plan": asked}

        with checkpointed(checkpoint, "goodness of fit", identity):
            seed = once("seed", self._draw_seed, random_state)
            return goodness_of_fit(
                self.model_,
                series,
                self.prevalence(series, times),
                getattr(self, "n_parameters_", 0),
                refit,
                replace(asked, n_jobs=n_jobs),
                seed,
            )

    def _data(self, X: Any) -> JumpSeries:
        if X is None and not hasattr(self, "_series"):
            raise InputError("the data are not kept in a saved model; give them as X=")
        return self._series if X is None else as_jump_series(X)


@dataclass(frozen=True, eq=False)
class SameSettings:
    """Fits an estimator's settings to other paths; a model that was given stays.

    Attributes:
        estimator: unfitted.
        given: the model that no data change, if there is one.
    """

    estimator: Any
    given: JumpModel | None

    def __call__(self, series: JumpSeries, seed: int) -> JumpModel:
        """The model of these paths."""
        if self.given is not None:
            return self.given
        worker = clone(self.estimator).set_params(random_state=seed)
        model: JumpModel = worker.fit(series).model_
        return model
