"""A column that is named twice is refused by name, as a static and as a channel."""

import pandas as pd
import pytest

from trajinfer import IrregularSeries
from trajinfer._core.errors import InputError

TABLE = pd.DataFrame({"id": [0, 0, 1], "t": [0.0, 1, 0], "x": [1.0, 1, 2], "y": [1.0, 2, 3]})


@pytest.mark.parametrize(
    "words", [{"statics": ["x", "x"], "channels": ["y"]}, {"channels": ["x", "x"]}]
)
def test_a_column_named_twice(words):
    with pytest.raises(InputError, match="'x', 'x'"):
        IrregularSeries.from_frame(TABLE, id="id", time="t", **words)
