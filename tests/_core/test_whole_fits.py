"""An estimator is fitted whole or not at all, and saved by one protocol."""

import warnings
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from trajinfer._core.archive import read_archive
from trajinfer._core.estimator import Estimator
from trajinfer._core.words import renamed_settings


@renamed_settings(noise="stochastic")
class Mean(Estimator):
    """The mean of a sample, which is refused where it is empty."""

    training_only: ClassVar = {"callback": None}

    def __init__(self, stochastic=True, rate=0.5, callback=None, random_state=None):
        self.stochastic, self.rate, self.callback = stochastic, rate, callback
        self.random_state = random_state

    def fit(self, X, y=None):
        if len(X) > 5:
            self.extra_ = True
        self.mean_ = None
        if not len(X):
            raise ValueError("empty")
        self.mean_ = np.mean(X, axis=0)
        self._conclude(seed=3, n_iter=1, converged=len(X) > 1, history=[{"n": len(X)}])
        return self


class Doubled(Mean):
    def fit(self, X, y=None):
        self.factor_ = 2
        return super().fit(X)


@pytest.mark.parametrize("kind", [Mean, Doubled])
def test_a_failed_fit_leaves_what_was_there(kind):
    fresh = kind()
    with pytest.raises(ValueError, match="empty"):
        fresh.fit([])
    assert vars(fresh) == vars(kind())
    fitted = kind().fit(np.arange(6.0))
    before = dict(vars(fitted))
    with pytest.raises(ValueError, match="empty"):
        fitted.fit([])
    assert vars(fitted) == before


def test_a_new_fit_forgets_the_earlier_one():
    assert hasattr(Mean().fit(np.arange(6.0)), "extra_")
    assert not hasattr(Mean().fit(np.arange(6.0)).fit([1.0, 2.0]), "extra_")
    assert Doubled().fit([1.0, 2.0]).factor_ == 2


def test_saved_settings_and_results_come_back(tmp_path):
    model = Doubled(rate=np.float64(0.25), callback=print).fit([1.0, 3.0])
    config, tensors = read_archive(model.save(tmp_path / "m"))
    again = Doubled._from_archive(config, tensors)
    assert again.get_params() == {**model.get_params(), "callback": None}
    assert again.history_ == model.history_
    assert again.random_state is None
    assert (again.mean_, again.factor_, again.seed_) == (2.0, 2, 3)
    with pytest.raises(NotFittedError):
        Mean().save(tmp_path / "none")


def test_no_convergence_is_warned_of():
    with pytest.warns(ConvergenceWarning, match="Mean did not converge in 1"):
        model = Mean().fit([1.0])
    assert not model.converged_


def test_old_names_of_settings_are_understood():
    with pytest.warns(FutureWarning, match="noise= is now called stochastic="):
        model = Mean(noise=False)
    assert model.stochastic is False
    with pytest.warns(FutureWarning, match="stochastic"):
        model.set_params(noise=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert clone(model).stochastic is True
