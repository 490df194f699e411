"""Columns of text as codes and back."""

import numpy as np
import pandas as pd
import pytest

from trajinfer.data.categories import CategoryCodes, text_categories


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["b", "a", np.nan, "b"]),
        pd.Series(["low", "high", "low", None], dtype=pd.CategoricalDtype(["low", "high"])),
        pd.Series([True, False, True, True]),
    ],
)
def test_labels_come_back_in_their_type(column):
    codes = CategoryCodes.of(column)
    back = codes.decode(codes.encode(column).to_numpy())
    assert back.dtype == column.dtype
    assert [None if pd.isna(x) else x for x in back] == [None if pd.isna(x) else x for x in column]
    beyond = codes.decode(np.array([-3.0, 9.0]))
    assert list(beyond) == [codes.labels[0], codes.labels[-1]]


def test_only_repeated_text_is_a_category():
    frame = pd.DataFrame(
        {
            "id": list("aabbcc"),
            "mood": ["x", "y", "x", "y", "x", "x"],
            "note": list("uvwxyz"),
            "number": range(6),
            "nearly": ["1", "2", "x", "1", "1", "2"],
        }
    )
    assert list(text_categories(frame, {"id"}, ())) == ["mood"]
    assert not text_categories(frame, {"id"}, ("number",))
