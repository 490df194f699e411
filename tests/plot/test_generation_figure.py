import pandas as pd
import pytest

from trajinfer import plot
from trajinfer._core.errors import InputError

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

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


def test_a_table_of_another_kind_is_refused():
    with pytest.raises(InputError, match="limit"):
        plot.generation(TABLE.drop(columns="limit"))
    with pytest.raises(InputError, match="none"):
        plot.generation(TABLE[:0])
