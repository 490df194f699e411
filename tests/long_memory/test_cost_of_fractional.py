"""Cost of models with long memory follows the number of observations: counted, never timed."""

import numpy as np
import pytest

from trajinfer import FractionalSDE, InputError, IrregularSeries
from trajinfer.long_memory import exact, linear
from trajinfer.long_memory import model as model_room
from trajinfer.long_memory.model import standardised_grid
from trajinfer.metrics import crps


def series_of(lengths):
    rng = np.random.default_rng(0)
    times = [np.sort(rng.uniform(0, 4, n)) for n in lengths]
    return IrregularSeries.from_arrays(times, [0.3 * rng.normal(size=n).cumsum() for n in lengths])


def test_a_long_series_is_filtered_beside_none_of_the_others(monkeypatch):
    """Entries that filters of one likelihood, of forecasts and of means go through."""
    sizes, likelihoods = [], []

    def counted(module, name):
        function = getattr(module, name)

        def inner(*given, **named):
            sizes.append(given[2].numel())
            return function(*given, **named)

        monkeypatch.setattr(module, name, inner)

    counted(linear, "whitened")
    profiled = linear._Channel._profiled

    def counted_likelihood(self, natural):
        likelihoods.append(1)
        return profiled(self, natural)

    monkeypatch.setattr(linear._Channel, "_profiled", counted_likelihood)
    counted(exact, "posterior_means")
    counted(exact, "posterior_draws")
    each, answers = [], []
    for lengths in ([4] * 12, [4] * 11 + [50]):
        series = series_of(lengths)
        sizes.clear()
        likelihoods.clear()
        model = FractionalSDE(hurst=0.7, n_ou=2, horizon=1.0, random_state=0).fit(series)
        each.append(sum(sizes) / len(likelihoods))
        sizes.clear()
        model.predict(series, horizon=1.0)
        model.forecast(series, horizon=1.0, n=1)
        answers.append(sum(sizes))
    # the second has twice the observations; padded together it would have twelve times
    assert each[1] <= 3 * each[0]
    assert answers[1] <= 3 * answers[0]
    # the last model and its series: answers and the evidence are those of padded series
    together, alone = (model.predict(part, horizon=1.0) for part in (series, series[:3]))
    np.testing.assert_allclose(together[:3], alone, rtol=1e-9)
    drawn, own = (model.forecast(part, horizon=1.0, n=2).samples for part in (series, series[:3]))
    np.testing.assert_allclose(drawn[:3], own, rtol=1e-9)
    fitted = model.model_
    padded = linear.evidence_of(
        standardised_grid(series, fitted.scaling, fitted.span, None),
        fitted.process.basis,
        fitted.process.parameters,
    )
    unit = np.log(fitted.scaling.scale[0]) * series.n_observations
    assert model.elbo_ == pytest.approx(float(padded.sum()) - unit, rel=1e-9)


@pytest.mark.parametrize(
    "inference", ["exact", pytest.param("variational", marks=pytest.mark.slow)]
)
def test_a_score_asks_a_long_series_beside_none_of_the_others(inference, monkeypatch):
    """Entries of the grids that draws run through, and the score itself."""
    sizes = []
    merged = model_room.merged_grid

    def counted(*given, **named):
        grid = merged(*given, **named)
        sizes.append(grid.values.numel())
        return grid

    monkeypatch.setattr(model_room, "merged_grid", counted)
    model = FractionalSDE(
        hurst=0.7, n_ou=2, horizon=1.0, inference=inference, max_epochs=1, hidden=2, random_state=0
    ).fit(series_of([4] * 12))
    seen = []
    for lengths in ([4] * 12, [4] * 11 + [50]):
        sizes.clear()
        model.score(series_of(lengths))
        seen.append(sum(sizes))
    # the second has twice the observations; padded together it would have twelve times
    assert seen[1] <= 3 * seen[0]


def test_a_score_is_the_mean_over_all_values_that_were_held_back():
    series = series_of([5, 40, 1, 6])
    model = FractionalSDE(hurst=0.7, n_ou=2, horizon=1.0, random_state=0).fit(series)
    total, count = 0.0, 0
    for i, length in enumerate(series.lengths):
        kept = max(int(0.8 * length), 1)
        if kept == length:
            continue
        times, values = series[[i]].times[0], series[[i]].values[0]
        past = series[[i]].until(times[kept - 1])
        drawn = model.forecast(past, times[kept:], n=100).samples[0]
        total += float((crps(drawn, values[kept:]) / model.model_.scaling.scale).sum())
        count += length - kept
    assert model.score(series) == pytest.approx(-total / count, rel=1e-9)
    with pytest.raises(InputError, match="last fifth"):
        model.score(series[[2]])
