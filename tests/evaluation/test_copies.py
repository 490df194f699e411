"""Copies of training series in generated ones: which are recognised, and what is named."""

import numpy as np
import pytest

from trajinfer import InputError, IrregularSeries
from trajinfer.evaluation import generation_report
from trajinfer.evaluation.generation.copies import copy_figures
from trajinfer.evaluation.generation.samples import Samples
from trajinfer.evaluation.generation.verbatim import least_evidence


def reverting(n, n_times=24, dim=5, seed=0):
    """Stationary first-order autoregressions (n, T, C)."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, n_times, dim))
    x[:, 0] = rng.normal(size=(n, dim))
    for k in range(1, n_times):
        x[:, k] = 0.9 * x[:, k - 1] + np.sqrt(0.19) * rng.normal(size=(n, dim))
    return x


TRAIN, HELD, FAKE = reverting(200, seed=1), reverting(100, seed=2), reverting(100, seed=3)


def judged(train, held, fake, groups=None):
    samples = Samples.of(train, held, fake, groups, np.random.default_rng(0))
    figures, matches = copy_figures(samples, 0)
    return {figure.metric for figure in figures if figure.flagged}, matches


def with_part(place, source):
    copied = FAKE.copy()
    copied[place] = source
    return copied


NOISE = 0.02 * np.random.default_rng(0).normal(size=(100, 24, 5))
WAYS = {
    "two of five channels": with_part(np.s_[:, :, :2], TRAIN[:100, :, :2]),
    "one of a hundred series": with_part(np.s_[:1], TRAIN[:1]),
    "the first half": with_part(np.s_[:, :12], TRAIN[:100, :12]),
    "a stretch of one channel in two series": with_part(np.s_[:2, 9:17, 3], TRAIN[:2, 9:17, 3]),
    "moved in time, to another channel": with_part(np.s_[4, 2:12, 0], TRAIN[70, 11:21, 4]),
    "turned": -TRAIN[:100],
    "reversed": TRAIN[:100, ::-1],
    "channels exchanged": TRAIN[:100, :, ::-1],
    "scaled and shifted": with_part(np.s_[:1], 3.0 * TRAIN[5:6] - 2.0),
    "with noise": TRAIN[:100] + NOISE,
    "one series with noise": with_part(np.s_[7], (TRAIN + np.tile(NOISE, (2, 1, 1)))[7]),
}


@pytest.mark.parametrize("way", WAYS)
def test_ways_of_copying_are_recognised(way):
    assert judged(TRAIN, HELD, WAYS[way])[0]


def test_matches_name_series_channel_and_rows():
    copied = FAKE.copy()
    copied[4, 2:12, 0] = -TRAIN[70, 11:21, 4][::-1]
    _, matches = judged(TRAIN, HELD, copied)
    (match,) = matches
    assert (match.series, match.channel, match.start, match.length) == (4, 0, 2, 10)
    assert (match.training, match.training_channel, match.training_start) == (70, 4, 11)
    assert match.turned
    assert match.reversed
    assert "series 4, channel 0, rows 2 to 11: training series 70, there channel 4" in str(match)


def test_fresh_series_are_no_copies():
    flagged = [
        bool(judged(*(reverting(n, 12, 1, 10 * k + i) for i, n in enumerate((60, 30, 30))))[0])
        for k in range(20)
    ]
    # at most 1 % each: three or more of twenty happen once in a thousand
    assert sum(flagged) <= 2


def levels(paths):
    """Every second series is zero throughout, the others are whole numbers."""
    even = np.arange(len(paths))[:, None, None] % 2 == 0
    return np.where(even, 0.0, np.round(2 * paths))


def test_ties_do_not_switch_the_check_off():
    train, held, fake = (levels(reverting(n, 48, 1, s)) for n, s in ((200, 1), (100, 2), (100, 3)))
    assert not judged(train, held, fake)[0]
    copied = fake.copy()
    copied[:20] = train[:20]
    found, matches = judged(train, held, copied)
    assert "longest_match" in found
    assert {match.series for match in matches} <= set(range(1, 20, 2))


def test_a_hold_out_of_training_series_is_refused():
    with pytest.raises(InputError, match="100 of 100 held-out series are in the training set"):
        generation_report(TRAIN, TRAIN[:100], FAKE, n_seeds=2)


def test_evidence_grows_with_the_length():
    null = np.repeat([0, 4], [290, 10])
    assert least_evidence(null, 100, 0.01, 0.0025) == 7
    # coins: every further row halves the chance, 100 / 301 / 2 ** 8 < .0025
    assert least_evidence(null, 100, 0.5, 0.0025) == 13
    assert least_evidence(null, 1, 0.5, 0.01) == 5


def irregular(n, seed, sign=1.0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 20, n)
    times = [np.sort(rng.uniform(0, 10, k)) for k in lengths]
    values = [sign * reverting(1, k, 2, rng.integers(10**6))[0] for k in lengths]
    return IrregularSeries.from_arrays(times, values, channels=("a", "b"))


def test_series_with_times_of_their_own_are_reported_on():
    train, held, fake = irregular(40, 0), irregular(24, 1), irregular(24, 2)
    report = generation_report(train, held, fake, n_seeds=2)
    assert report.flags == set()
    copied = IrregularSeries.concatenate([train[:3], fake[3:]])
    again = generation_report(train, held, copied, n_seeds=2)
    assert "copies" in again.flags
    assert {match.series for match in again.matches} == {0, 1, 2}
    assert "copy: series 0" in str(again)


def test_every_second_row_of_series_with_times_of_their_own_is_a_copy():
    train, held, fake = irregular(40, 0), irregular(24, 1), irregular(24, 2)
    long = np.flatnonzero(train.lengths >= 15)[:3]
    thinned = IrregularSeries.from_arrays(
        [train.times[i, 1 : train.lengths[i] : 2] for i in long],
        [train.values[i, 1 : train.lengths[i] : 2] for i in long],
        channels=("a", "b"),
    )
    copied = Samples.of(
        train,
        held,
        IrregularSeries.concatenate([thinned, fake[3:]]),
        None,
        np.random.default_rng(0),
    )
    figures, matches = copy_figures(copied, 0)
    assert any(figure.flagged for figure in figures)
    assert {match.series: match.training for match in matches} == dict(enumerate(long))
    assert {(match.step, match.training_step) for match in matches} == {(1, 2)}
    assert "every second row there" in str(matches[0])


@pytest.mark.slow  # the same comparison at even places as above, of another fault
def test_lengths_of_another_law_are_seen():
    train, held, fake = irregular(90, 0), irregular(40, 1), irregular(40, 2)
    short = fake[np.flatnonzero(fake.lengths < 9)]
    longer = IrregularSeries.concatenate([short] * 2)
    assert {"marginals", "classifier"} & generation_report(train, held, longer, n_seeds=2).flags
