import numpy as np
import pandas as pd
import pytest

from trajinfer import IrregularSeries, plot
from trajinfer._core.errors import InputError
from trajinfer.data import Trajectories
from trajinfer.evaluation.generation.trial import GeneratorTrial

pytest.importorskip("matplotlib", reason="matplotlib is not installed")
from matplotlib.figure import Figure

TABLE = pd.DataFrame(
    {
        "value": [0.03, 0.2],
        "lower": [0.02, 0.1],
        "upper": [0.04, 0.3],
        "floor": [0.03, 1.0],
        "limit": [0.05, 0.9],
        "flagged": [False, True],
    },
    index=["ks_mean", "nearest_ratio"],
)


def test_measures_stand_on_one_scale():
    axes = plot.generation(TABLE)
    fine, flagged = (line for line in axes.lines if line.get_marker() == "o")
    assert fine.get_xdata().tolist() == [0]
    # A ratio is suspicious when it is low: 0.2 is eight limits away from 1.
    assert flagged.get_xdata()[0] == pytest.approx(8)
    assert fine.get_color() != flagged.get_color()
    assert [t.get_text() for t in axes.get_yticklabels()] == ["ks mean", "nearest ratio"]


@pytest.mark.parametrize("value", [0.04, 0.2, 3.0, -500.0, np.nan])
def test_limits_are_named_by_plain_numbers(value):
    table = TABLE.assign(value=[0.03, value], lower=[0.02, value], upper=[0.04, value])
    axes = plot.generation(table, ax=Figure().subplots())
    axes.figure.draw_without_rendering()
    texts = [tick.get_text() for tick in axes.get_xticklabels()]
    assert {"0", "1"} <= {f"{float(text.replace('−', '-')):g}" for text in texts}
    assert all(len(text) <= 6 for text in texts)


def test_a_table_of_another_kind_is_refused():
    with pytest.raises(InputError, match="limit"):
        plot.generation(TABLE.drop(columns="limit"))
    with pytest.raises(InputError, match="none"):
        plot.generation(TABLE[:0])


@pytest.mark.parametrize("n_channels", [1, 3, 6])
def test_every_channel_of_the_series_stands_beside_that_of_the_draws(n_channels):
    rng = np.random.default_rng(0)
    names = tuple("abcdef"[:n_channels])
    real = rng.normal(size=(30, 7, n_channels))
    series = IrregularSeries.from_arrays(np.arange(7.0), real, channels=names)
    values = 3 * rng.normal(size=(50, 7, n_channels))
    drawn = Trajectories(np.arange(7.0), values, features=names, axis=series.axis)
    trial = GeneratorTrial(None, series, drawn, (), np.zeros(30, dtype=bool), None)
    axes = trial.figures()["synthetic"]().axes
    assert len(axes) == 2 * min(n_channels, 4)
    for c, (left, right) in enumerate(zip(axes[::2], axes[1::2], strict=True)):
        assert left.get_ylabel() == right.get_ylabel() == names[c]
        assert left.get_ylim() == right.get_ylim()
        assert left.get_xlim() == right.get_xlim()
        low, high = left.get_ylim()
        for shown in (real[..., c], values[:40, :, c]):
            assert low < shown.min()
            assert shown.max() < high
        np.testing.assert_allclose(right.collections[0].get_segments()[2][:, 1], values[2, :, c])
        assert "30 series" in axes[0].get_title()
