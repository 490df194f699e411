"""Where a partner is not installed, one sentence says how to install it."""

import importlib
import sys

import numpy as np
import pytest

from trajinfer import Forecast
from trajinfer._core.errors import MissingExtra
from trajinfer.adapters import to_xarray


@pytest.fixture
def absent(monkeypatch):
    """Makes a package impossible to import."""

    def make(package):
        for name in [n for n in sys.modules if n.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)

    return make


def test_labelled_arrays_name_their_extra(absent):
    absent("xarray")
    with pytest.raises(MissingExtra, match=r"pip install 'trajinfer\[xarray\]'"):
        to_xarray(Forecast(np.zeros((1, 2, 2, 1)), [0.0, 1.0]))


def test_estimators_of_sktime_name_their_extra(absent, monkeypatch):
    absent("sktime")
    monkeypatch.delitem(sys.modules, "trajinfer.adapters.sktime", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'trajinfer\[sktime\]'"):
        importlib.import_module("trajinfer.adapters.sktime")


def test_posteriors_name_their_extra(absent):
    absent("arviz_base")
    from trajinfer import MarkovJumpProcess, jumps
    from trajinfer.adapters import to_arviz

    seen = jumps.simulate([[-1.0, 1.0], [2.0, -2.0]], [1, 0], 6, [0, 0.3, 0.9], random_state=0)
    model = MarkovJumpProcess(method="mle", random_state=0).fit(seen)
    model.draws_ = np.ones((8, 2, 2))
    with pytest.raises(MissingExtra, match=r"pip install 'trajinfer\[arviz\]'"):
        to_arviz(model)
