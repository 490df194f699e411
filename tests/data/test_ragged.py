"""Entries laid end to end: padding, taking, joining."""

import numpy as np
import pytest

from trajinfer.data.ragged import RaggedLayout


@pytest.fixture
def layout():
    return RaggedLayout(np.array([2, 4, 1]))


def test_padding_and_back(layout):
    entries = np.arange(14.0).reshape(7, 2)
    padded = layout.pad(entries, np.nan)
    assert padded.shape == (3, 4, 2)
    assert np.isnan(padded[~layout.present]).all()
    np.testing.assert_array_equal(layout.flatten(padded), entries)
    repeated = layout.pad(entries[:, 0])
    assert repeated.tolist() == [[0, 2, 2, 2], [4, 6, 8, 10], [12, 12, 12, 12]]
    np.testing.assert_array_equal(layout.flatten(repeated), entries[:, 0])


def test_places(layout):
    assert layout.series.tolist() == [0, 0, 1, 1, 1, 1, 2]
    assert layout.steps.tolist() == [0, 1, 0, 1, 2, 3, 0]
    assert layout.starts.tolist() == [0, 2, 6]
    assert (layout.size, layout.longest) == (7, 4)


def test_taking_keeping_joining(layout):
    taken, entries = layout.take(np.array([2, 1, 2]))
    assert taken.lengths.tolist() == [1, 4, 1]
    assert entries.tolist() == [6, 2, 3, 4, 5, 6]
    keep = np.array([True, False, False, True, True, False, False])
    assert layout.keep(keep).lengths.tolist() == [1, 2, 0]
    assert RaggedLayout.join([taken, layout]).lengths.tolist() == [1, 4, 1, 2, 4, 1]
