"""Figures of jump processes: what is drawn, not how it looks."""

import numpy as np
import pytest

from trajinfer import jumps, plot
from trajinfer._core.errors import InputError
from trajinfer.data import JumpSeries

pytest.importorskip("matplotlib")
RATES = np.array([[-1.0, 0.7, 0.3], [0.5, -0.9, 0.4], [0.2, 0.0, -0.2]])


@pytest.fixture
def ax():
    from matplotlib.figure import Figure

    return Figure().subplots()


def test_rates_are_written_into_the_map(ax):
    model = jumps.MarkovJumpProcess.from_rates(RATES, states=["a", "b", "c"])
    plot.rates(model, ax=ax)
    assert sorted(t.get_text() for t in ax.texts) == ["0.2", "0.3", "0.4", "0.5", "0.7"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c"]


def test_graph_has_an_arrow_per_link(ax):
    plot.transition_graph(RATES, ax=ax, law=[0.2, 0.3, 0.5])
    assert sum(t.get_text() == "" for t in ax.texts) == 5


def test_occupation_draws_laws_and_shares(ax):
    ts = np.linspace(0, 3, 13)
    series = jumps.simulate(RATES, [1, 0, 0], 100, ts, random_state=0)
    laws = np.full((13, 3), 1 / 3)
    plot.occupation(series, ts, laws, ax=ax)
    assert len(ax.containers) == 3
    with pytest.raises(InputError, match="laws must be"):
        plot.occupation(series, ts, laws[:, :2], ax=ax)


def test_posterior_ribbon_fills_the_unit_interval(ax):
    series = JumpSeries.from_arrays([[0.0, 1.0]], [[0, 2]], categories=[0, 1, 2])
    model = jumps.MarkovJumpProcess.from_rates(RATES)
    ts = np.linspace(0, 2, 9)
    plot.state_posterior(ts, model.predict_proba(series, ts)[0], series=series, ax=ax)
    assert len(ax.collections) == 4
    with pytest.raises(InputError, match="rows of probabilities"):
        plot.state_posterior(ts[:3], model.predict_proba(series, ts)[0], ax=ax)


def test_bad_matrix_is_named(ax):
    with pytest.raises(InputError, match="square"):
        plot.rates(np.zeros((2, 3)), ax=ax)
