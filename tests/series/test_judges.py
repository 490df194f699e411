"""A network earns its share of a filled value on judges that nothing was fitted to."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from trajinfer import IrregularSeries, NeuralSDEInterpolator
from trajinfer.filling.hiding import all_but, hidings, judges_hidden
from trajinfer.filling.share_of_network import Comparison

N = 400


def ragged(seed=0):
    rng = np.random.default_rng(seed)
    lengths = [1, 2, 3, 9, 40, 40]
    values = [rng.normal(size=(n, 2)) for n in lengths]
    for one in values[3:]:
        one[rng.random(one.shape) < 0.3] = np.nan
        one[0] = 1.0
    return IrregularSeries.from_arrays([np.arange(float(n)) for n in lengths], values)


def test_judges_are_hidden_by_one_draw_and_asked_for_by_none_of_the_others():
    series = ragged()
    judges = judges_hidden(series, 0.3, 1)
    observed = ~np.isnan(series.flat_values)
    np.testing.assert_array_equal(np.isnan(judges.shown.flat_values), ~observed | judges.asked)
    assert 0.2 < judges.asked.sum() / observed.sum() < 0.35
    # two observations of a channel of a series are left, or all
    left = [(~np.isnan(v)).sum(0).min() for v in judges.shown.values]
    np.testing.assert_array_equal(left[:2], [1, 2])
    assert min(left[2:]) >= 2
    draws = hidings(series, 0.5, 4, judges.asked, 2)
    for draw in (*draws, all_but(series, judges.asked)):
        assert not (draw.asked & judges.asked).any()
        assert (observed[draw.asked]).all()
    # what is asked for is hidden, and one draw of two leaves the other channels beside it
    for k, draw in enumerate(draws):
        assert np.isnan(draw.shown.flat_values[draw.asked]).all()
        together = np.isnan(draw.shown.flat_values)[observed.all(1)].all(1)
        assert together.any() == (k % 2 == 0)


def compared(shift, stretch, errors):
    """Channels (P,) of standardised errors with moves of a standard law."""
    values = torch.as_tensor(errors)[:, None]
    law = Normal(torch.zeros(N, 1), torch.ones(N, 1), validate_args=False)
    moves = torch.stack([torch.as_tensor(shift), torch.as_tensor(stretch)])[:, :, None]
    return Comparison(values.double(), law, moves.double())


def test_shares_are_those_that_the_errors_allow(rng):
    shift, stretch = rng.normal(size=N), 0.7 * rng.normal(size=N)
    noise, nothing = rng.normal(size=N), np.zeros(N)
    np.testing.assert_array_equal(compared(shift, nothing, shift + noise).shares(), [[1], [0]])
    np.testing.assert_array_equal(
        compared(2 * shift, nothing, shift + noise).shares(), [[0.5], [0]]
    )
    np.testing.assert_array_equal(compared(-shift, nothing, shift + noise).shares(), [[0], [0]])
    spread = np.exp(stretch) * noise
    np.testing.assert_array_equal(compared(nothing, stretch, spread).shares(), [[0], [1]])
    np.testing.assert_array_equal(compared(nothing, -stretch, spread).shares(), [[0], [0]])
    # a law that is too narrow everywhere is no merit of the network
    np.testing.assert_array_equal(compared(shift, nothing + 1.0, 3 * noise).shares(), [[0], [0]])
    assert compared(-shift, -stretch, shift + spread).score() < 0
    assert compared(shift, nothing, shift + noise).score() > 5
    few = compared(shift, nothing, np.where(np.arange(N) < 9, shift, np.nan))
    np.testing.assert_array_equal(few.shares(), [[0], [0]])


@pytest.mark.parametrize("seed", [0, 1])
def test_on_noise_the_network_moves_nothing(seed):
    values = np.random.default_rng(seed).normal(size=(30, 12, 2))
    series = IrregularSeries.from_arrays(np.arange(12.0), values)
    settings = {"hidden": 8, "max_epochs": 12, "n_samples": 2, "random_state": seed}
    model = NeuralSDEInterpolator(**settings).fit(series)
    shown = series.drop_observations(0.2, seed)
    hidden = series.mask & ~shown.mask
    errors = []
    for share in (model.model_.share, np.zeros((2, 2))):
        object.__setattr__(model.model_, "share", share)
        errors.append((model.predict(shown, series.times) - values)[hidden])
    assert np.mean(errors[0] ** 2) <= 1.02 * np.mean(errors[1] ** 2)


def test_without_judges_nothing_is_corrected():
    model = NeuralSDEInterpolator(validation=0, hidden=4, random_state=0).fit(ragged())
    assert model.n_iter_ == 1
    assert all(share == {"mean": 0, "spread": 0} for share in model.share_.values())
    np.testing.assert_array_equal(model.calibration_, [1.0, 1.0])
