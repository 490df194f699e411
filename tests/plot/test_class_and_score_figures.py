"""Figures of predicted classes and of distances to held-out snapshots."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from trajinfer import plot
from trajinfer._core.errors import InputError

pytest.importorskip("matplotlib")


@pytest.fixture
def ax():
    from matplotlib.figure import Figure

    return Figure().subplots()


PREDICTIONS = pd.DataFrame(
    {
        "id": range(6),
        "label": ["b", "a", "a", "b", "a", "new"],
        "predicted": ["b", "a", "b", "b", "a", "a"],
        "p_a": 0.5,
        "p_b": 0.5,
    }
)


def test_numbers_of_series_stand_by_their_class_and_the_one_predicted(ax):
    plot.classes(PREDICTIONS, ax=ax)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "new"]
    place = {t.get_position(): t.get_text() for t in ax.texts}
    wanted = {(0, 0): "2", (1, 0): "1", (0, 1): "0", (1, 1): "2", (0, 2): "1", (1, 2): "0"}
    assert place == wanted
    np.testing.assert_allclose(ax.images[0].get_array(), [[2 / 3, 1 / 3], [0, 1], [1, 0]])


@pytest.mark.parametrize("length", [1, 4, 14])
def test_names_of_classes_do_not_touch(length):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.0, 3.2), layout="constrained")
    names = {"a": "a" * length, "b": "b" * length, "new": "c" * length}
    table = PREDICTIONS.replace({"label": names, "predicted": names})
    table = table.rename(columns={"p_a": f"p_{names['a']}", "p_b": f"p_{names['b']}"})
    axes = plot.classes(table.assign(**{f"p_{names['new']}": 0.0}), ax=figure.subplots())
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [t.get_window_extent(canvas.get_renderer()) for t in axes.get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_series_of_no_known_class_are_one_row(ax):
    plot.classes(PREDICTIONS.drop(columns="label"), ax=ax)
    assert [t.get_text() for t in ax.texts] == ["3", "3"]
    assert ax.get_ylabel() == "class not known"
    with pytest.raises(InputError, match="column 'predicted' and a row"):
        plot.classes(PREDICTIONS[:0], ax=ax)


SCORES = pd.DataFrame(
    {
        "time": [0, 1, 2] * 2,
        "metric": ["w1"] * 3 + ["energy"] * 3,
        "estimator": [3.0, 1.0, 4.0, 0.3, 0.1, 0.4],
        "exact_ot_line": [3.0, 1.1, 3.9, 0.3, 0.1, 0.4],
        "persistence": [np.nan, 2.0, 2.0, np.nan, 0.2, 0.2],
        "sampling_floor": 0.05,
        "extrapolation": [True, False, True] * 2,
    }
)


@pytest.mark.parametrize(("metric", "values"), [(None, [3, 1, 4]), ("energy", [0.3, 0.1, 0.4])])
def test_scores_stand_beside_their_anchors(ax, metric, values):
    plot.scores(SCORES, metric=metric, ax=ax)
    model = ax.collections[0]
    np.testing.assert_allclose(model.get_offsets(), np.c_[[0, 1, 2], values])
    assert [len(c) and c[-1] for c in model.get_facecolors()] == [0, 1, 0]  # hollow outside
    named = {t.get_text() for t in ax.get_legend().get_texts()}
    assert named == {"model", "exact OT line", "previous snapshot", "sampling floor"}
    assert all(len(handle.get_facecolor()) for handle in ax.get_legend().legend_handles)
    assert ax.get_ylim()[0] == 0


def test_scores_that_are_not_there_are_refused(ax):
    with pytest.raises(InputError, match="did you mean 'w1'"):
        plot.scores(SCORES, metric="w11", ax=ax)
    with pytest.raises(InputError, match="estimator"):
        plot.scores(SCORES.drop(columns="estimator"), ax=ax)
