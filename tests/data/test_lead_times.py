"""Times of forecasts: in the order asked, up to a horizon, and single values of version 0.1."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import InputError, IrregularSeries
from trajinfer.data.lead_times import lead_times

SERIES = IrregularSeries.from_arrays([[0.0, 4.0], [0.0, 5.0]], np.ones((2, 2)))
DATED = IrregularSeries.from_arrays(pd.to_datetime(["2020-01-01", "2020-01-05"]), np.ones((1, 2)))


def test_times_keep_their_order():
    assert lead_times(SERIES, [7.0, 6.0, 7.0], None, 1.0).tolist() == [[7.0, 6.0, 7.0]] * 2
    assert lead_times(SERIES, 6.0, None, 1.0).tolist() == [[6.0]] * 2


def test_a_horizon_is_an_even_grid_ahead_of_each_series():
    grid = lead_times(SERIES, None, 2.0, 1.0)
    np.testing.assert_allclose(grid, [[4.0], [5.0]] + 0.1 * np.arange(1, 21))
    np.testing.assert_allclose(lead_times(SERIES, None, None, 1.0)[:, -1], [5.0, 6.0])


@pytest.mark.parametrize(
    ("series", "value"),
    [(SERIES, 2.0), (DATED, pd.Timedelta("2D")), (DATED, np.timedelta64(2, "D"))],
)
def test_a_single_value_that_can_only_be_a_duration_is_one_with_a_warning(series, value):
    with pytest.warns(FutureWarning, match="horizon="):
        read = lead_times(series, value, None, 1.0)
    np.testing.assert_array_equal(read, lead_times(series, None, value, 1.0))


def test_what_cannot_be_answered():
    with pytest.raises(InputError, match="both"):
        lead_times(SERIES, [6.0], 1.0, 1.0)
    for early in ([4.5], [[4.5], [4.5]], -1.0, 0.0):
        with pytest.raises(InputError, match="until"):
            lead_times(SERIES, early, None, 1.0)
