"""Real tables: what the channels can be, lengths, times, period and tails are kept."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

import trajinfer
from trajinfer import DirectedChainGenerator, InputError, IrregularSeries
from trajinfer.generation.row_law import RowLaw
from trajinfer.generation.schema import ChannelSchema

N, T = 160, 16


def reverting(n=N, n_times=T, seed=0):
    rng = np.random.default_rng(seed)
    x = np.zeros((n, n_times))
    x[:, 0] = rng.normal(size=n)
    for k in range(1, n_times):
        x[:, k] = 0.9 * x[:, k - 1] + np.sqrt(0.19) * rng.normal(size=n)
    return x


def series_of(*columns, ts=None):
    values = np.stack(columns, axis=-1)
    return IrregularSeries.from_arrays(np.arange(float(values.shape[1])), values)


def table():
    """Free, positive, whole, 0/1, constant, on a grid, a sum."""
    rng = np.random.default_rng(1)
    x = reverting()
    constant = np.repeat(rng.integers(0, 2, (N, 1)), T, axis=1).astype(float)
    counts = rng.poisson(np.exp(0.5 * x + 2.0)).astype(float)
    return series_of(
        x,
        np.exp(reverting(seed=2)),
        counts,
        (reverting(seed=3) > 0).astype(float),
        constant,
        np.round(20 * reverting(seed=4)) / 20,
        2 * x + counts,
    )


@pytest.fixture(scope="module")
def fitted():
    return DirectedChainGenerator(random_state=0).fit(table())


def test_kinds_of_channels_are_reported(fitted):
    kinds = list(fitted.channel_kinds_.values())
    assert kinds == ["real", "positive", "whole", "levels", "static", "real", "real"]
    assert fitted.bounds_["x1"][0] == 0
    assert fitted.bounds_["x3"] == (0.0, 1.0)


def test_support_is_kept_exactly(fitted):
    real, drawn = table().values, fitted.sample(300).values
    assert (drawn[..., 1] > 0).all()
    assert (drawn[..., 2] == np.round(drawn[..., 2])).all()
    assert (drawn[..., 2] >= 0).all()
    assert np.isin(drawn[..., 3], [0.0, 1.0]).all()
    assert (np.ptp(drawn[..., 4], axis=1) == 0).all()
    assert np.isin(drawn[..., 5], np.unique(real[..., 5])).all()
    np.testing.assert_allclose(drawn[..., 6], 2 * drawn[..., 0] + drawn[..., 2], atol=1e-9)
    assert drawn[:, 0, 4].mean() == pytest.approx(real[:, 0, 4].mean(), abs=0.12)  # 4 x .03
    last = [ks_2samp(drawn[:, -1, c], real[:, -1, c]).pvalue for c in range(6)]
    assert min(last) > 1e-3


def test_persistence_of_levels_is_kept(fitted):
    real, drawn = table().values[..., 3], fitted.sample(600).values[..., 3]
    stays = [(np.diff(part, axis=1) == 0).mean() for part in (real, drawn)]
    # of 2400 and 9000 pairs: standard error .009
    assert stays[1] == pytest.approx(stays[0], abs=0.035)


def test_tables_are_saved_and_loaded(fitted, tmp_path):
    again = trajinfer.load(fitted.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.sample(9).values, fitted.sample(9).values)
    assert again.channel_kinds_ == fitted.channel_kinds_


def test_times_are_rows(fitted):
    whole = fitted.sample(4)
    np.testing.assert_array_equal(fitted.sample(4, [5, 2]).values, whole.values[:, [5, 2]])
    with pytest.raises(InputError, match="transform='standard'"):
        fitted.sample(4, [0.5])


def test_an_oscillation_keeps_its_period():
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, (150, 1))
    x = np.sin(2 * np.pi * np.arange(48) / 12 + phase)
    drawn = DirectedChainGenerator(random_state=0).fit(series_of(x)).sample(100).values[..., 0]
    power = (np.abs(np.fft.rfft(drawn, axis=1)) ** 2).mean(axis=0)
    assert power[4] / power[1:].sum() > 0.95


def test_heavy_tails_of_increments_are_kept():
    walks = np.random.default_rng(0).standard_t(2.2, (300, T)).cumsum(axis=1)
    drawn = DirectedChainGenerator(random_state=0).fit(series_of(walks)).sample(600).values[..., 0]
    tails = [np.quantile(np.abs(np.diff(part, axis=1)), 0.999) for part in (walks, drawn)]
    assert 1 / 1.5 < tails[1] / tails[0] < 1.5


@pytest.mark.parametrize("n", [20, 30])
def test_few_series_do_not_explode(n):
    x = reverting(n, 20, seed=n)
    drawn = DirectedChainGenerator(random_state=0).fit(series_of(x)).sample(500).values
    assert np.abs(drawn).max() < 3 * np.abs(x).max()
    assert drawn.std() == pytest.approx(x.std(), rel=0.3)


def own_visits(irregular):
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 20, 200)
    gaps = [rng.exponential(1.0, k) if irregular else np.ones(k) for k in lengths]
    times = [gap.cumsum() for gap in gaps]
    return IrregularSeries.from_arrays(
        times, [reverting(1, k, i)[0] for i, k in enumerate(lengths)]
    )


@pytest.mark.parametrize("irregular", [False, True])
def test_lengths_and_times_follow_those_of_the_data(irregular):
    series = own_visits(irregular)
    drawn = DirectedChainGenerator(random_state=0).fit(series).sample(200)
    lengths = np.isfinite(drawn.values[..., 0]).sum(axis=1)
    assert ks_2samp(lengths, series.lengths).pvalue > 0.01
    assert drawn.values.shape[2] == 1
    gaps = np.concatenate([np.diff(row[:k]) for row, k in zip(drawn.ts, lengths, strict=True)])
    real = np.concatenate([np.diff(series[i].times[0]) for i in range(len(series))])
    if irregular:
        assert (gaps > 0).all()
        assert np.log(gaps).mean() == pytest.approx(np.log(real).mean(), abs=0.15)
        assert np.log(gaps).std() == pytest.approx(np.log(real).std(), rel=0.15)
    else:
        np.testing.assert_allclose(gaps, 1.0)
    with pytest.raises(InputError, match="times of its own"):
        DirectedChainGenerator(transform="rows", random_state=0).fit(series).sample(3, [1.0])


def test_missing_values_are_refused_by_rows():
    holes = table().drop_observations(0.1, 0)
    with pytest.raises(InputError, match="values are missing"):
        DirectedChainGenerator(transform="rows").fit(holes)


def test_schema_maps_are_inverse():
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=500), np.exp(rng.normal(size=500)), rng.poisson(5.0, 500) * 1.0):
        kind = ChannelSchema.of(list(values.reshape(50, 10)))
        np.testing.assert_allclose(kind.inverse(kind.forward(values)), values, atol=1e-9)


def test_a_row_law_gives_the_conditional_law():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (6000, 1))
    y = np.abs(x[:, 0]) * (1 + 0.3 * rng.normal(size=6000))
    law = RowLaw.fit(x, y, np.arange(6000) // 20, seed=0)
    drawn, _ = law.draw(np.full((4000, 1), 1.5), rng)
    # the regression and the pool of forty neighbours add to the error of 4000 draws
    assert drawn.mean() == pytest.approx(1.5, abs=0.12)
    assert drawn.std() == pytest.approx(0.45, rel=0.35)
