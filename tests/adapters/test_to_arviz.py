"""Posterior draws of rates in the form of ArviZ are those of the fit, chain by chain."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from trajinfer import InputError, MarkovJumpProcess, jumps
from trajinfer.adapters import to_arviz
from trajinfer.jumps.bayes import split_r_hat


def paths():
    ts = np.linspace(0, 5, 12)
    return jumps.simulate([[-1.0, 1.0], [2.0, -2.0]], [0.5, 0.5], 20, ts, random_state=0)


def test_models_without_draws_are_refused():
    with pytest.raises(InputError, match="expected a MarkovJumpProcess"):
        to_arviz(np.zeros(3))
    with pytest.raises(NotFittedError):
        to_arviz(MarkovJumpProcess())
    with pytest.raises(InputError, match="method='bayes'"):
        to_arviz(MarkovJumpProcess(method="mle", random_state=0).fit(paths()))


def test_chains_states_and_convergence_are_those_of_the_fit():
    pytest.importorskip("arviz_base")
    model = MarkovJumpProcess(method="bayes", random_state=0).fit(paths())
    rates = to_arviz(model)["posterior"]["rates"]
    assert rates.dims == ("chain", "draw", "state", "next_state")
    np.testing.assert_allclose(rates.mean(("chain", "draw")), model.draws_.mean(axis=0), rtol=1e-12)
    assert list(rates["state"].values) == ["0", "1"]
    # chains that were cut elsewhere would mix otherwise
    logs = np.log(rates.sel(state="0", next_state="1").to_numpy())[..., None]
    np.testing.assert_allclose(split_r_hat(logs), model.r_hat_[0, 1], rtol=1e-8)
