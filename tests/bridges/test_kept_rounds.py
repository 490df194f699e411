"""Rounds that a checkpoint keeps are those that were made."""

import numpy as np
import pytest

from trajinfer import SchrodingerBridge, Snapshots
from trajinfer._core import checkpoint_folder
from trajinfer.processes import AffineDrift, DoubleWell, OrnsteinUhlenbeck


class Stop(BaseException):
    """The end of a process, as far as a fit can tell."""


def _snapshots():
    rng = np.random.default_rng(0)
    return Snapshots([0, 1, 2.5], [rng.normal(0.8**t, 0.4, (12, 1)) for t in (0, 1, 2.5)])


def _known():
    return OrnsteinUhlenbeck(theta=1.0, mean=0.5, volatility=0.5, dim=1).learn("theta")


def _spring():
    """Position and speed; only positions are seen."""
    swing = [[0.0, 1.0], [-1.2, -0.4]]
    return AffineDrift(2, swing, [0.0, 0.0], volatility=[0.2, 0.5])


CASES = {
    "atoms": (_known, {"n_refinements": 2}),
    "mixture": (_known, {"n_refinements": 2, "backend": "mixture"}),
    "hidden": (_spring, {"n_refinements": 0, "observed": [0], "tol": 0.03}),
    "quadrature": (DoubleWell, {"volatility": 0.4, "n_refinements": 3}),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CASES)
def test_a_refinement_goes_on_from_any_round(name, tmp_path, monkeypatch):
    """Broken off after every piece: nothing but the folder carries the fit on."""
    reference, settings = CASES[name]
    data = _snapshots()
    whole = SchrodingerBridge(reference(), **settings, random_state=0).fit(data)
    write, breaks = checkpoint_folder.write_bytes, 0

    def stopping(*args):
        write(*args)
        raise Stop

    monkeypatch.setattr(checkpoint_folder, "write_bytes", stopping)
    while True:
        fit = SchrodingerBridge(
            reference(), **settings, random_state=0, checkpoint=tmp_path / "fit"
        )
        try:
            fit.fit(data)
        except Stop:
            breaks += 1
        else:
            break
    assert breaks >= 2 + len(whole.history_)  # the header, the seed, every round
    assert fit.objective_history_ == whole.objective_history_
    for value, expected in zip(fit.parameters_.values(), whole.parameters_.values(), strict=True):
        assert np.array_equal(value, expected)
    assert np.array_equal(fit.sample(5, [0.5]).values, whole.sample(5, [0.5]).values)
    kinds = [row["kind"] for row in fit.history_]
    assert kinds == [row["kind"] for row in whole.history_]
    assert ("quadrature" in kinds) == (name == "quadrature")
