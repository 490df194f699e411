"""Real tables: what the channels can be, lengths, times, period and tails are kept."""

import re

import numpy as np
import pytest
from scipy.stats import ks_2samp
from scipy.stats import t as student

import trajinfer
from trajinfer import DirectedChainGenerator, InputError, IrregularSeries
from trajinfer.generation.relations import ChannelRelations
from trajinfer.generation.residual_tails import ResidualTails
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


def test_the_pattern_of_missing_values_is_kept():
    rng = np.random.default_rng(0)
    values = np.stack([reverting(80, 12), np.exp(reverting(80, 12, seed=1))], axis=-1)
    values[rng.random((80, 12)) < 0.3, 0] = np.nan
    values[:40, 3:6, 1] = np.nan
    series = IrregularSeries.from_arrays(np.arange(12.0), values)
    drawn = DirectedChainGenerator(random_state=0).fit(series).sample(300).values
    shares = [np.isnan(part[:, 3:6]).mean(axis=(0, 1)) for part in (values, drawn)]
    np.testing.assert_allclose(shares[1], shares[0], atol=0.12)  # 300 of 80 series: 3 x .035
    assert not np.isnan(drawn[:, :3, 1]).any()
    assert np.nanstd(drawn[..., 0]) == pytest.approx(np.nanstd(values[..., 0]), rel=0.25)
    steps = [np.nanstd(np.diff(part[..., 0], axis=1)) for part in (values, drawn)]
    assert steps[1] == pytest.approx(steps[0], rel=0.15)


def test_series_that_are_never_complete_are_learned():
    values = np.stack([reverting(60, 10), reverting(60, 10, seed=1)], axis=-1)
    values[:, ::2, 0] = np.nan
    values[:, 1::2, 1] = np.nan
    series = IrregularSeries.from_arrays(np.arange(10.0), values)
    drawn = DirectedChainGenerator(random_state=0).fit(series).sample(40).values
    np.testing.assert_array_equal(
        np.isnan(drawn), np.broadcast_to(np.isnan(values[:1]), (40, 10, 2))
    )
    with pytest.raises(InputError, match="transform='rows'"):
        DirectedChainGenerator(transform="standard").fit(series)


def test_bounds_override_those_of_the_values():
    share = 1 / (1 + np.exp(-reverting(60, 12)))
    bounded = DirectedChainGenerator(bounds={"x0": (0.1, 0.8)}, random_state=0)
    with pytest.raises(InputError, match="outside the bounds"):
        bounded.fit(series_of(share))
    drawn = bounded.fit(series_of(np.clip(share, 0.1, 0.8)))
    assert drawn.bounds_["x0"] == (0.1, 0.8)
    values = drawn.sample(300).values
    assert (values.min(), values.max()) == (0.1, 0.8)
    with pytest.raises(InputError, match="belong to transform='rows'"):
        DirectedChainGenerator(transform="standard", bounds={"x0": (None, 9)}).fit(series_of(share))
    with pytest.raises(InputError, match="the channels are"):
        DirectedChainGenerator(bounds={"y": (0, None)}).fit(series_of(share))


def test_series_count_by_their_weights():
    level = np.repeat([[-4.0], [4.0]], 40, axis=0)
    series = series_of(level + 0.5 * reverting(80, 10))
    weight = np.repeat([3.0, 1.0], 40)
    drawn = DirectedChainGenerator(random_state=0).fit(series, sample_weight=weight).sample(800)
    # 800 draws: standard error .015
    assert (drawn.values[:, -1, 0] < 0).mean() == pytest.approx(0.75, abs=0.06)
    with pytest.raises(InputError, match="sample_weight must hold"):
        DirectedChainGenerator().fit(series, sample_weight=weight[1:])


def test_losses_are_named_before_draws_are_used():
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, (80, 1))
    waves = series_of(np.sin(2 * np.pi * np.arange(24) / 12 + phase))
    faster = series_of(np.sin(2 * np.pi * np.arange(24) / 6 + phase))
    fitted = DirectedChainGenerator(random_state=0).fit(waves)
    # starts lie on chords of the circle, 2 pi / 80 long: all that there is to tell
    (only,) = fitted.losses(waves)
    assert re.fullmatch(r"x0: the spread .* is always 0.707; .* varies by 0.00\d+ of that", only)
    noisy = series_of(waves.values[..., 0] + 0.1 * reverting(80, 24))
    assert not DirectedChainGenerator(random_state=0).fit(noisy).losses(noisy)
    sentences = " ".join(fitted.losses(faster))
    assert "of the power lies at the main period" in sentences
    assert "a classifier tells draws from series" in sentences
    with pytest.raises(InputError, match="must have the channels"):
        fitted.losses(series_of(phase + np.arange(24), np.cos(phase + np.arange(24))))


def test_schema_maps_are_inverse():
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=500), np.exp(rng.normal(size=500)), rng.poisson(5.0, 500) * 1.0):
        kind = ChannelSchema.of(list(values.reshape(50, 10)))
        np.testing.assert_allclose(kind.inverse(kind.forward(values)), values, atol=1e-9)


def test_a_row_law_gives_the_conditional_law():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (6000, 1))
    y = np.abs(x[:, 0]) * (1 + 0.3 * rng.normal(size=6000))
    none = np.zeros((6000, 0))
    law = RowLaw.fit(x, none, np.zeros(6000), y, np.arange(6000) // 20, seed=0)
    drawn, _ = law.draw(np.full((4000, 1), 1.5), none[:4000], np.zeros(4000), rng)
    # the regression and the pool of forty neighbours add to the error of 4000 draws
    assert drawn.mean() == pytest.approx(1.5, abs=0.12)
    assert drawn.std() == pytest.approx(0.45, rel=0.35)


def test_the_scale_of_a_row_law_follows_recent_steps():
    rng = np.random.default_rng(0)
    size = rng.uniform(0.2, 2.0, (6000, 1))
    y = size[:, 0] * rng.normal(size=6000)
    law = RowLaw.fit(np.zeros((6000, 1)), size, np.zeros(6000), y, np.arange(6000) // 20, seed=0)
    for asked in (0.4, 1.6):
        drawn, _ = law.draw(np.zeros((4000, 1)), np.full((4000, 1), asked), np.zeros(4000), rng)
        # the log-scale is linear in the size, which it is not in truth
        assert drawn.std() == pytest.approx(asked, rel=0.3)


def test_tails_go_beyond_the_data():
    rng = np.random.default_rng(0)
    residual = rng.standard_t(2.2, 30_000)
    tails = ResidualTails.of(residual)
    drawn = tails.extended(rng.choice(residual, 400_000), rng)
    true = student.ppf([0.9995, 0.9999], 2.2)
    # 300 exceedances of a tail of index 1 / 2.2
    assert np.quantile(drawn, [0.9995, 0.9999]) == pytest.approx(true, rel=0.35)
    assert drawn.max() > residual.max()
    bounded = ResidualTails.of(rng.uniform(-1, 1, 6000)).extended(rng.uniform(-1, 1, 9999), rng)
    assert np.abs(bounded).max() < 1.03


def weather(n=40, n_times=24, seed=0):
    """Temperature, dew point below it, and the humidity that both give, in tenths."""
    temperature = np.round(15 + 8 * reverting(n, n_times, seed), 1)
    dew = np.round(temperature - np.maximum(0, 4 + 5 * reverting(n, n_times, seed + 1)), 1)
    pressures = [np.exp(17.625 * t / (243.04 + t)) for t in (dew, temperature)]
    return np.stack([temperature, dew, np.round(100 * pressures[0] / pressures[1], 2)], axis=-1)


def test_relations_between_channels_are_found_and_kept():
    real = weather()
    relations = ChannelRelations.of(real.reshape(-1, 3))
    assert [(r.channel, r.inputs) for r in relations.smooth] == [(2, (0, 1))]
    assert [(r.channel, r.above) for r in relations.order] == [(1, 0)]
    np.testing.assert_allclose(relations.inverse(relations.forward(real))[..., :2], real[..., :2])
    series = IrregularSeries.from_arrays(np.arange(24.0), real)
    drawn = DirectedChainGenerator(random_state=0).fit(series).sample(60).values
    assert (drawn[..., 1] <= drawn[..., 0]).all()
    assert drawn[..., 2].max() <= 100
    pressures = [np.exp(17.625 * t / (243.04 + t)) for t in (drawn[..., 1], drawn[..., 0])]
    off = np.abs(drawn[..., 2] - 100 * pressures[0] / pressures[1])
    # a hundredth of the spread where there are data; beyond it the grid of values ends
    assert np.quantile(off, 0.95) < 0.02 * real[..., 2].std()


def test_channels_without_relations_have_none():
    rng = np.random.default_rng(0)
    relations = ChannelRelations.of(rng.normal(size=(500, 4)))
    assert relations.modelled == (0, 1, 2, 3)
    assert not relations.smooth
    assert not relations.order


def test_waves_keep_their_amplitude():
    """All series lie on one ring; starts moved between neighbours stay on it."""
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, (150, 1))
    x = np.sin(2 * np.pi * np.arange(24) / 12 + phase)
    drawn = DirectedChainGenerator(random_state=0).fit(series_of(x)).sample(100).values[..., 0]
    amplitude = np.sqrt(2 * (drawn[:, :12] ** 2).mean(axis=1))
    np.testing.assert_allclose(amplitude, 1.0, atol=0.01)


def test_values_between_levels_stay_as_rare_as_they_are():
    """Whole degrees Fahrenheit in tenths, and one reading in a hundred converted otherwise."""
    rng = np.random.default_rng(0)
    fahrenheit = np.round(60 + 15 * reverting(150, 24, 0))
    odd = rng.random(fahrenheit.shape) < 0.01
    real = np.where(odd, fahrenheit + 0.4, fahrenheit) + 0.02
    drawn = DirectedChainGenerator(random_state=0).fit(series_of(real)).sample(150).values
    shares = [float((np.abs(x % 1 - 0.02) > 0.1).mean()) for x in (real, drawn)]
    assert shares[0] == pytest.approx(0.01, rel=0.3)
    assert shares[1] < 0.03


@pytest.mark.parametrize("unit", [0.1, 0.05, 10.0])
@pytest.mark.parametrize("kind", ["real", "positive"])
def test_few_readings_keep_their_last_digit(kind, unit):
    """Too few to repeat, as a grid does: 240 values over several hundred units."""
    x = reverting(24, 10)
    free = np.exp(x) if kind == "positive" else x
    real = np.maximum(np.round(120 * free), 1 if kind == "positive" else -np.inf) * unit
    drawn = DirectedChainGenerator(random_state=0).fit(series_of(real)).sample(50).values
    np.testing.assert_allclose(drawn / unit, np.round(drawn / unit), atol=1e-6)
    assert len(np.unique(drawn)) > 100
    assert kind == "real" or drawn.min() > 0
    # written as they were read, not as 0.30000000000000004
    assert max(len(f"{value:g}") - len(str(value).removesuffix(".0")) for value in drawn.flat) == 0


def test_rounded_channels_below_another_keep_their_last_digit_too():
    """Of 25 series of ten rows no value repeats as often as on a grid."""
    above = np.round(40 * reverting(25, 10))
    real = np.stack([above - np.round(20 * np.abs(reverting(25, 10, 1))), above], -1) / 10
    relations = ChannelRelations.of(real.reshape(-1, 2))
    assert [(r.channel, r.unit) for r in relations.order] == [(0, 0.1)]
    back = relations.inverse(relations.forward(real))
    np.testing.assert_array_equal(back[..., 0], np.round(real[..., 0], 1))


def test_the_steps_of_a_walk_among_other_channels_stay_independent():
    """40 features of 300 rows."""
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(60, 7)).cumsum(axis=1)
    others = [rng.normal(size=(60, 7)) for _ in range(4)]
    drawn = DirectedChainGenerator(transform="rows", random_state=0).fit(series_of(walk, *others))
    steps = np.diff(drawn.sample(600).values[..., 0], axis=1)
    # 3000 pairs of steps: standard error .02, and .06 of the 300 learned from
    assert np.corrcoef(steps[:, 1:].ravel(), steps[:, :-1].ravel())[0, 1] == pytest.approx(
        0, abs=0.12
    )


def test_readings_finer_than_any_unit_stay_free():
    tiny = 5 + 1e-7 * reverting(24, 10)
    drawn = DirectedChainGenerator(random_state=0).fit(series_of(tiny)).sample(50).values
    assert drawn.std() == pytest.approx(tiny.std(), rel=0.3)


def test_no_zero_is_negative():
    counts = np.floor(np.random.default_rng(0).exponential(4.0, (60, 12)))
    drawn = DirectedChainGenerator(transform="rows", random_state=0).fit(series_of(counts))
    assert not np.signbit(drawn.sample(60).values).any()


def test_rare_categories_and_constants_are_never_exchanged_for_others():
    rng = np.random.default_rng(0)
    kinds = ChannelSchema.of([np.array([*[0.0] * 60, 1.0, *[2.0] * 60])])
    assert kinds.inverse(np.array([1.0])) == [1.0]
    own = np.repeat(rng.choice([10.0, 11.5, 12.0], p=[0.49, 0.02, 0.49], size=200), 20)
    still = ChannelSchema.of(list(own.reshape(200, 20)))
    np.testing.assert_array_equal(still.inverse(own), own)
