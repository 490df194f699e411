"""The work of a fit follows the number of observations, whatever the lengths of the series."""

import numpy as np
import pytest

from trajinfer import IrregularSeries
from trajinfer.forecasting import LawSettings, NetworkSettings
from trajinfer.forecasting import fitting as fitting_module
from trajinfer.forecasting.fitting import LawFit
from trajinfer.forecasting.observations import Observations
from trajinfer.forecasting.pairs import PairSource

QUICK = LawSettings(3.0, network=NetworkSettings(widths=(4,), max_epochs=1))


def walks(lengths, seed=0):
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=(n, 1)).cumsum(axis=0) for n in lengths]
    return IrregularSeries.from_arrays([np.arange(float(n)) for n in lengths], values)


def rows_of_a_fit(series, monkeypatch):
    """Rows that are described, pairs that are asked about, rows that each expert learns from."""
    seen = {"history": 0, "questions": 0, "ridge": 0, "network": 0}

    def counted(name, argument):
        function = getattr(fitting_module, name)

        def call(*args, **kwargs):
            seen[argument[0]] += len(args[argument[1]])
            return function(*args, **kwargs)

        monkeypatch.setattr(fitting_module, name, call)

    counted("history", ("history", 1))
    counted("questions", ("questions", 2))
    counted("fit_ridge_by_parts", ("ridge", 0))
    network = fitting_module.fit_network

    def fit_network(draw, *args):
        seen["network"] += len(draw(0)[0])
        return network(draw, *args)

    monkeypatch.setattr(fitting_module, "fit_network", fit_network)
    LawFit(series, QUICK, 0).run()
    return seen


def test_twice_the_observations_are_twice_the_work(monkeypatch):
    """Three later rows of every row but the last ones; four networks learn three quarters each."""
    with monkeypatch.context() as patch:
        once = rows_of_a_fit(walks([12] * 40), patch)
    with monkeypatch.context() as patch:
        twice = rows_of_a_fit(walks([12] * 80), patch)
    pairs = 40 * (9 * 3 + 3)
    assert once == {
        "history": 480,
        "questions": pairs,
        "ridge": pairs,
        "network": 3 * pairs,
    }
    assert twice == {name: 2 * count for name, count in once.items()}


def test_one_long_series_makes_the_others_no_dearer(monkeypatch):
    """Arrays are as long as there are observations, not series times the longest of them."""
    seen = rows_of_a_fit(walks([*[12] * 40, 400]), monkeypatch)
    assert seen["history"] == 480 + 400
    assert seen["questions"] == 40 * 30 + 3 * 400 - 6


@pytest.mark.parametrize("n", [1000, 4000])
def test_the_pairs_of_a_long_series_are_bounded(n):
    data = Observations.of(walks([n]))
    source = PairSource.of(data, n / 2)
    assert len(source) > 300 * n / 2
    assert len(source.draw(np.random.default_rng(0), 2000, 40_000)) <= 2000 + 4
    assert sum(getattr(data, name).size for name in ("times", "values")) == 2 * n
