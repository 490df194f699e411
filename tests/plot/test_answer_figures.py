"""Figures of answers: shares of fates, chances not to have arrived, and values."""

import numpy as np
import pytest

from trajinfer import InputError, plot

pytest.importorskip("matplotlib").use("Agg")


def _legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_fates_are_stacked_in_the_order_of_the_first():
    shares = np.array([[0.2, 0.3, 0.5], [0.9, 0.1, 0.0]])
    axes = plot.fates(shares, names=["left", "right", "none"])
    assert _legend(axes) == ["left", "right", "none"]
    tops = [area.get_paths()[0].vertices[:, 1].max() for area in axes.collections]
    assert tops == pytest.approx([0.9, 1.0, 1.0])
    assert plot.fates(shares).get_legend() is None


def test_shares_that_do_not_sum_to_one_are_refused():
    with pytest.raises(InputError, match="must sum to 1"):
        plot.fates([[0.2, 0.2]])


def test_a_passage_starts_at_one_with_its_band_and_its_hazard():
    ts, survival = [1.0, 2.0], np.array([[0.5, 0.2], [0.9, 0.8]])
    axes = plot.passage(
        ts, survival, band=(survival - 0.1, survival + 0.1), hazard=survival, names="ab", unit="D"
    )
    assert [line.get_ydata()[0] for line in axes.lines] == [1.0, 1.0]
    assert axes.get_xlabel() == "time since the start (D)"
    assert _legend(axes) == ["a", "b"]
    assert len(axes.collections) == 2
    (twin,) = [other for other in axes.figure.axes if other is not axes]
    np.testing.assert_array_equal(twin.lines[1].get_ydata(), survival[1])
    assert plot.passage(ts, survival[0]).get_xlabel() == "time since the start"


@pytest.mark.parametrize(
    ("longest", "unit", "shown"),
    [
        (3.0, "D", (3.0, "D")),
        (1 / 72, "D", (20.0, "min")),
        (0.5, "s", (500.0, "ms")),
        (0.5, "year", (0.5, "year")),
    ],
)
def test_short_passages_are_shown_in_a_unit_that_fits(longest, unit, shown):
    axes = plot.passage([longest / 2, longest], [0.5, 0.2], hazard=[1.0, 2.0], unit=unit)
    twin = axes.figure.axes[1].lines[0]
    np.testing.assert_allclose(twin.get_ydata() * shown[0], np.array([1.0, 2.0]) * longest)
    np.testing.assert_allclose(axes.lines[0].get_xdata(), np.array([0.0, 0.5, 1.0]) * shown[0])
    assert axes.get_xlabel() == f"time since the start ({shown[1]})"


def test_a_passage_of_other_times_is_refused():
    with pytest.raises(InputError, match="must have 2 times"):
        plot.passage([1.0, 2.0], [[0.5]])


class _Sum:
    def predict(self, X):
        return X.sum(axis=1)


def test_a_value_is_a_line_or_a_map():
    line = plot.value(_Sum(), 0.0, 2.0, n=5)
    np.testing.assert_allclose(line.lines[0].get_ydata(), np.linspace(0, 2, 5))
    area = plot.value(_Sum(), [0.0, 1.0], [1.0, 3.0], n=4, label="worth")
    assert (area.get_xlabel(), area.get_ylabel()) == ("x0", "x1")
    assert area.get_ylim() == (1.0, 3.0)
    with pytest.raises(InputError, match="one or two coordinates"):
        plot.value(_Sum(), [0.0] * 3, [1.0] * 3)
