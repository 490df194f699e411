"""Cost of models with long memory follows the number of observations: counted, never timed."""

import numpy as np
import pytest

from trajinfer import FractionalSDE, IrregularSeries
from trajinfer.long_memory import exact, linear
from trajinfer.long_memory.model import standardised_grid


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
