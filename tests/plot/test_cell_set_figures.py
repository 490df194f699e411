"""Figures of fates and of flow between sets."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import plot
from trajinfer._core.errors import InputError

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

FATES = pd.DataFrame({"left": [0.9, 0.2, 0.1], "right": [0.1, 0.5, 0.1], "other": [0.0, 0.3, 0.8]})
POINTS = np.arange(6.0).reshape(3, 2)


@pytest.fixture
def ax():
    return Figure().subplots()


def test_cells_have_the_colour_of_their_likeliest_set(ax):
    plot.fate_map(POINTS, FATES, ax=ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(FATES.columns)
    drawn = [c for c in ax.collections if len(c.get_offsets())]
    np.testing.assert_array_equal([c.get_offsets()[0] for c in drawn], POINTS)


def test_the_share_of_one_set_is_drawn_with_the_surest_on_top(ax):
    plot.fate_map(POINTS, FATES, of="left", ax=ax)
    np.testing.assert_array_equal(ax.collections[0].get_array(), [0.1, 0.2, 0.9])
    np.testing.assert_array_equal(ax.collections[0].get_offsets()[-1], POINTS[0])


def test_bands_are_as_wide_as_the_mass_that_flows(ax):
    table = pd.DataFrame({"left": [1.0, 0.25], "right": [0.0, 0.75]}, index=["left", "right"])
    plot.flow(table, sizes=[3, 1], ax=ax)
    heights = [patch.get_height() for patch in ax.patches]
    np.testing.assert_allclose(heights, [0.75, 0.25, 0.8125, 0.1875])
    widths = [c.get_paths()[0].get_extents().height for c in ax.collections]
    assert widths[0] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot.fate_map(POINTS[:2], FATES), "for each of the 3 rows"),
        (lambda: plot.fate_map(POINTS, FATES, of="lift"), "no set 'lift'.*left"),
        (lambda: plot.fate_map(POINTS, FATES.to_numpy()), "expected a table"),
        (lambda: plot.flow(FATES * 2), "rows must sum to 1"),
        (lambda: plot.flow(FATES, sizes=[1, 2]), "sizes must be 3"),
    ],
    ids=["points", "set", "array", "rows", "sizes"],
)
def test_bad_input_is_refused(draw, message):
    with pytest.raises(InputError, match=message):
        draw()
