"""What draws lose of series is told in few sentences, however many channels there are."""

import numpy as np

from trajinfer.generation.losses import lost


def test_the_pairs_furthest_off_are_named_and_the_others_counted():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(60, 12, 6))
    drawn = rng.normal(size=(60, 12, 6))
    common = rng.normal(size=(60, 12, 1))
    weight = np.array([0.9, 0.9, 0.9, 0.7, 0.7, 0.7])  # of what the channels have in common
    drawn = np.sqrt(1 - weight**2) * drawn + weight * common
    told = lost([f"c{k}" for k in range(6)], real, drawn)
    pairs = [sentence for sentence in told if "correlate by" in sentence and " and " in sentence]
    assert sorted(sentence.split(" correlate")[0] for sentence in pairs) == [
        "c0 and c1",
        "c0 and c2",
        "c1 and c2",
    ]
    assert "12 more pairs of channels correlate otherwise" in told  # of 6 * 5 / 2


def test_few_pairs_are_not_counted():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(60, 12, 2))
    drawn = np.repeat(3 * rng.normal(size=(60, 12, 1)), 2, axis=2)
    told = lost(["a", "b"], real, drawn)
    assert told[0].startswith("a classifier tells draws from series")
    assert any(sentence.startswith("a and b correlate by 1.00, not") for sentence in told)
    assert not any("more pairs" in sentence for sentence in told)
