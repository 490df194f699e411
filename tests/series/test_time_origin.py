"""Series of another table are counted from the origin of the training series."""

import numpy as np
import pandas as pd
import pytest

import trajinfer
from trajinfer import IrregularSeries, NeuralSDEClassifier, NeuralSDERegressor


@pytest.fixture
def frame(rng):
    start = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.repeat(np.arange(8), 6) * 3, unit="D")
    return pd.DataFrame(
        {
            "who": np.repeat(np.arange(8), 6),
            "when": start + pd.to_timedelta(np.tile(np.arange(6), 8), unit="D"),
            "x": rng.normal(size=48),
            "y": np.repeat(np.arange(8) % 2, 6),
        }
    )


def read(frame):
    return IrregularSeries.from_frame(frame, id="who", time="when", channels=["x"], labels="y")


@pytest.mark.parametrize("kind", [NeuralSDEClassifier, NeuralSDERegressor])
def test_a_part_read_alone_gives_the_same_answer(kind, frame, tmp_path):
    whole, alone = read(frame), read(frame[frame["who"] >= 5])
    assert alone.times[0, 0] != whole[5].times[0, 0]
    model = kind(
        "linear_noise", hidden=4, max_epochs=1, n_samples=2, stochastic=False, random_state=0
    )
    model.fit(whole, whole.labels)
    ask = getattr(model, "predict_proba", model.predict)
    np.testing.assert_allclose(ask(alone), ask(whole)[5:], rtol=1e-5, atol=1e-6)
    again = trajinfer.load(model.save(tmp_path / "model"))
    ask_again = getattr(again, "predict_proba", again.predict)
    np.testing.assert_allclose(ask_again(alone), ask(alone))
