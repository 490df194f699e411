"""Tables on disk: the same series as from memory, bounded work, answers in pieces."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import (
    InputError,
    IrregularSeries,
    JumpSeries,
    MarkovJumpProcess,
    NeuralSDEForecaster,
    Snapshots,
    jumps,
)
from trajinfer._core.fingerprint import fingerprint
from trajinfer._core.memory import memory_bytes
from trajinfer.data.input import series_to_learn
from trajinfer.data.parquet import PartialDataWarning
from trajinfer.data.pieces import identity_of

pytest.importorskip("pyarrow")
NAMES = {"id": "who", "time": "t"}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 8, 120)
    who = np.repeat([f"p{k:03d}" for k in range(120)], lengths)
    t = np.concatenate([np.sort(rng.uniform(0, 9, n)) for n in lengths])
    x = rng.normal(size=len(t)).cumsum()
    frame = pd.DataFrame({"who": who, "t": t, "x": x, "y": x**2})
    frame.loc[frame.index % 7 == 3, "y"] = np.nan
    return frame


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    """One file sorted by series; a folder partitioned by a third column, in no order."""
    home = tmp_path_factory.mktemp("tables")
    table.to_parquet(home / "sorted.parquet", row_group_size=100)
    parts = table.assign(part=np.arange(len(table)) % 3).sample(frac=1, random_state=0)
    parts.to_parquet(home / "parts", partition_cols=["part"])
    return home


@pytest.mark.parametrize("name", ["sorted.parquet", "parts"])
def test_series_are_those_of_the_table(table, folder, name):
    inside = IrregularSeries.from_frame(table, **NAMES)
    opened = IrregularSeries.open(folder / name, **NAMES, channels=["x", "y"])
    assert len(opened) == 120
    assert np.array_equal(opened.lengths, inside.lengths)
    for index in (slice(None), [7, 3, 119], 5, np.arange(120) % 2 == 0):
        some, same = opened[index], inside[np.unique(np.arange(120)[index])]
        assert some.ids == same.ids
        assert np.array_equal(some.flat_times, same.flat_times)
        assert np.array_equal(some.flat_values, same.flat_values, equal_nan=True)


def test_sorted_files_have_one_run_per_series_and_group(folder):
    opened = IrregularSeries.open(folder / "sorted.parquet", **NAMES)
    assert len(opened.runs.series) < 120 + len(opened.groups)


def test_datetimes_count_from_the_first_of_all_series(table, tmp_path):
    dated = table.assign(t=pd.Timestamp("2024-01-01") + pd.to_timedelta(table.t, unit="D"))
    dated.to_parquet(tmp_path / "d.parquet", row_group_size=100)
    opened = IrregularSeries.open(tmp_path / "d.parquet", **NAMES)
    inside = IrregularSeries.from_frame(dated, **NAMES)
    assert np.array_equal(opened[[100]].flat_times, inside[[100]].flat_times)
    assert opened.axis == inside.axis


def test_work_stays_within_the_bound(folder):
    opened = IrregularSeries.open(folder / "sorted.parquet", **NAMES, memory="0.3 MiB")
    with pytest.warns(PartialDataWarning, match="series drawn at random are learned from"):
        part = series_to_learn(opened)
    assert 1 < len(part) < 120
    assert opened.work(part.lengths) <= opened.memory < opened.work(opened.lengths)
    with pytest.raises(InputError, match=r"takes about .* give out="):
        opened.whole()
    assert opened.at_once(1e4) < opened.at_once() < 120
    assert len(series_to_learn(IrregularSeries.open(folder / "sorted.parquet", **NAMES))) == 120


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"id": "whom"}, "no column 'whom'; did you mean 'who'"),
        ({"channels": ["z"]}, "no column 'z'"),
        ({"memory": "much"}, "memory must be a number of bytes"),
    ],
)
def test_wrong_calls_are_refused(folder, arguments, message):
    with pytest.raises(InputError, match=message):
        IrregularSeries.open(folder / "sorted.parquet", **(NAMES | arguments))


def test_wrong_files_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="there is no"):
        IrregularSeries.open(tmp_path / "nothing", **NAMES)
    (tmp_path / "text.parquet").write_text("who,t,x")
    with pytest.raises(InputError, match="cannot be read as parquet"):
        IrregularSeries.open(tmp_path / "text.parquet", **NAMES)
    with pytest.raises(InputError, match=r"expected JumpSeries.*JumpSeries\.open"):
        MarkovJumpProcess().fit(IrregularSeries.open(folder / "sorted.parquet", **NAMES))
    assert memory_bytes(None) > 0


@pytest.mark.filterwarnings("ignore::trajinfer.jumps.IdentifiabilityWarning")
def test_a_jump_process_is_that_of_the_table(tmp_path):
    paths = jumps.simulate([[-1, 1], [2, -2]], [1, 0], 40, [0, 0.3, 0.6, 1.0], random_state=1)
    table = paths.to_frame()
    table.to_parquet(tmp_path / "j.parquet")
    names = {"id": "id", "time": "time", "state": "state"}
    opened = JumpSeries.open(tmp_path / "j.parquet", **names)
    one, other = (
        MarkovJumpProcess(2, method="mle").fit(X)
        for X in (opened, JumpSeries.from_frame(table, **names))
    )
    assert np.array_equal(one.rates_, other.rates_)


def test_snapshots_are_those_of_the_table_or_a_random_part(tmp_path):
    rng = np.random.default_rng(0)
    cells = pd.DataFrame(rng.normal(size=(6000, 2)), columns=["a", "b"])
    cells["day"] = np.arange(6000) % 3
    cells.to_parquet(tmp_path / "c.parquet", row_group_size=1000)
    whole = Snapshots.open(tmp_path / "c.parquet", time="day", features=["a", "b"])
    same = Snapshots.from_frame(cells, time="day", features=["a", "b"])
    assert all(np.array_equal(p, q) for p, q in zip(whole.points, same.points, strict=True))
    with pytest.warns(PartialDataWarning, match="a random 25.0% of them"):
        part = Snapshots.open(tmp_path / "c.parquet", time="day", memory=6000 * 3 * 24 / 4)
    # a binomial number of rows: 1500 with a standard deviation of 34
    assert abs(part.n_points - 1500) < 5 * 34


@pytest.fixture(scope="module")
def forecaster(table):
    series = IrregularSeries.from_frame(table, **NAMES)
    return NeuralSDEForecaster(horizon=1.0, hidden=4, max_epochs=1, random_state=0).fit(series)


def test_answers_know_their_model_by_its_arrays():
    one, same, other = ({"weights": np.array([1.0, last])} for last in (2.0, 2.0, 3.0))
    assert fingerprint(identity_of(one)) == fingerprint(identity_of(same))
    assert fingerprint(identity_of(one)) != fingerprint(identity_of(other))


@pytest.mark.filterwarnings("ignore::trajinfer._core.errors.ExtrapolationWarning")
def test_answers_are_written_in_pieces_and_a_killed_call_goes_on(
    table, folder, forecaster, tmp_path, monkeypatch
):
    inside = forecaster.forecast(IrregularSeries.from_frame(table, **NAMES), horizon=1.0, n=20)
    opened = IrregularSeries.open(folder / "parts", **NAMES, channels=["x", "y"], memory="1 MiB")
    drawn, draw = [], NeuralSDEForecaster._drawn

    def stopping(self, X, *arguments):
        drawn.append(len(X))
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return draw(self, X, *arguments)

    monkeypatch.setattr(NeuralSDEForecaster, "_drawn", stopping)
    out = tmp_path / "answers"
    with pytest.raises(KeyboardInterrupt):
        forecaster.forecast(opened, horizon=1.0, n=20, out=out)
    assert len(list(out.glob("*.parquet"))) == 2
    assert forecaster.forecast(opened, horizon=1.0, n=20, out=out) == out
    assert sum(drawn) - drawn[2] == 120
    expected = inside.to_frame()
    written = pd.read_parquet(out)
    assert list(written.columns) == list(expected.columns)
    assert (written.id == expected.id).all()
    assert np.allclose(written[["mean", "q5", "q95"]], expected[["mean", "q5", "q95"]], rtol=1e-9)
    with pytest.raises(InputError, match="another fit: n differ"):
        forecaster.forecast(opened, horizon=1.0, n=30, out=out)
    with pytest.raises(InputError, match="exists already"):
        forecaster.forecast(opened, horizon=1.0, out=folder)
