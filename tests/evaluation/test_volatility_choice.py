"""Volatility by likelihood and by left-out snapshots, where it is known."""

import numpy as np
import pytest

from trajinfer import SchrodingerBridge, Snapshots
from trajinfer._core.errors import InputError
from trajinfer.evaluation import choose_volatility
from trajinfer.processes import AffineDrift, Brownian

TRUE = np.array([0.4, 0.8])


def diffusing(n, seed):
    """Independent individuals of a Brownian motion, at three times."""
    rng = np.random.default_rng(seed)
    spread = [np.sqrt(0.3**2 + t * TRUE**2) for t in (0.0, 1.0, 2.0)]
    return Snapshots([0, 1, 2], [rng.normal(0, s, (n, 2)) for s in spread], features=["a", "b"])


def test_the_true_volatility_is_found_and_its_error_is_told():
    choice = choose_volatility(
        SchrodingerBridge(Brownian(dim=2), random_state=0),
        diffusing(60, 1),
        factors=[0.3, 30.0],
        n_splits=1,
        random_state=0,
    )
    table = choice.likelihood
    assert table.index.tolist() == ["a", "b"]
    assert table["settled"].all()
    # a correction is a part of an error
    assert (np.abs(choice.corrected - TRUE) < 3 * table["error"]).all()
    assert (table["error"] < 0.2 * TRUE).all()
    assert (table["corrected"] < table["learned"]).any()
    left_out = choice.left_out
    assert left_out["factor"].tolist() == [0.3, 30.0]
    # noise far beyond the truth predicts worse, and is not as good
    assert left_out["as_good"].tolist() == [True, False]
    np.testing.assert_allclose(choice.predictive, 0.3 * choice.start)


def test_what_snapshots_do_not_settle_is_said():
    """At rest, pull and noise show only together."""
    rng = np.random.default_rng(0)
    still = Snapshots([0, 1, 2], [rng.normal(0, 1, (12, 1)) for _ in range(3)])
    bridge = SchrodingerBridge(AffineDrift(1), n_refinements=3, random_state=0)
    choice = choose_volatility(bridge, still, factors=[1.0], n_splits=1, random_state=0)
    assert not choice.likelihood["settled"].any()


@pytest.mark.parametrize(
    ("words", "message"),
    [({"factors": [1, -1]}, "factors must be positive"), ({"n_splits": 0}, "n_splits")],
)
def test_bad_settings_are_refused(words, message):
    with pytest.raises(InputError, match=message):
        choose_volatility(SchrodingerBridge(), diffusing(8, 0), **words)


def test_few_points_and_foreign_noise_are_refused():
    with pytest.raises(InputError, match="at least three snapshots of 8 points"):
        choose_volatility(SchrodingerBridge(), diffusing(7, 0))
    moving = SchrodingerBridge(Brownian(dim=2, volatility=lambda y: 1 + y**2))
    with pytest.raises(InputError, match="function of its own"):
        choose_volatility(moving, diffusing(8, 0))
