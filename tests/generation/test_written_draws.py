"""Draws in pieces, in a folder: all of them, the same after a kill, and those of one model."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import DirectedChainGenerator, InputError, IrregularSeries
from trajinfer.data import written_draws


def _fitted(scale=1.0):
    values = np.random.default_rng(0).normal(size=(40, 6, 1)).cumsum(axis=1)
    series = IrregularSeries.from_arrays(np.tile(np.arange(6.0), (40, 1)), scale * values)
    return DirectedChainGenerator(random_state=0).fit(series)


@pytest.fixture(scope="module")
def generator():
    return _fitted()


def test_draws_are_written_in_pieces_and_a_killed_call_goes_on(generator, tmp_path, monkeypatch):
    monkeypatch.setattr(written_draws, "PIECE", 30)
    whole = generator.sample(70, random_state=3, out=tmp_path / "whole")
    table = pd.read_parquet(whole)
    assert len(list(whole.glob("part-*.parquet"))) == 3
    assert table["path"].unique().tolist() == list(range(70))
    assert len(table.drop_duplicates("x0")) > 300  # no piece repeats another

    sample, calls = type(generator.model_).sample, []

    def stopping(self, n, *arguments):
        calls.append(n)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return sample(self, n, *arguments)

    monkeypatch.setattr(type(generator.model_), "sample", stopping)
    with pytest.raises(KeyboardInterrupt):
        generator.sample(70, random_state=3, out=tmp_path / "killed")
    again = generator.sample(70, random_state=3, out=tmp_path / "killed")
    assert calls == [30, 30, 30, 10]
    pd.testing.assert_frame_equal(pd.read_parquet(again), table)


def test_a_folder_belongs_to_one_call_and_one_model(generator, tmp_path):
    out = generator.sample(5, random_state=3, out=tmp_path / "draws")
    with pytest.raises(InputError, match="another fit: seed differ"):
        generator.sample(5, random_state=4, out=out)
    with pytest.raises(InputError, match="another fit: model differ"):
        _fitted(2.0).sample(5, random_state=3, out=out)
    with pytest.raises(InputError, match="and no given="):
        generator.sample(5, given=np.zeros((1, 3, 1)), out=tmp_path / "other")
