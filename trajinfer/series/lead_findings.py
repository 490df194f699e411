"""What a forecaster with `dynamics="lead"` found out about itself."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from trajinfer._core.checks import Array
from trajinfer.forecasting import LeadForecast
from trajinfer.series.network_forecast import NetworkForecast


class LeadFindings:
    """Findings of an estimator whose `model_` may be a `LeadForecast`."""

    model_: LeadForecast | NetworkForecast

    @property
    def report_(self) -> Any:
        """Held-out errors: a row per channel and third of the horizon or of the age."""
        check_is_fitted(self)
        return self._lead_model().report.table()

    @property
    def shares_(self) -> Any:
        """Shares of the experts: a row per times, third of the horizon, channel and expert."""
        check_is_fitted(self)
        return self._lead_model().shares()

    @property
    def is_rough_(self) -> bool:
        """Whether the intervals rest on fewer than 30 independent stretches of a horizon."""
        check_is_fitted(self)
        return self._lead_model().report.is_rough

    @property
    def calibration_(self) -> Array:
        """Factors by which held-out errors widen 90 % intervals beyond those of a normal law.

        They multiply the standard deviations that the law gives: (3, C), of the near, middle and
        far third of the horizon; (C,) of latent dynamics.
        """
        check_is_fitted(self)
        if isinstance(self.model_, LeadForecast):
            return self.model_.law.quantiles.width(0.9)
        return self.model_.calibration

    def _lead_model(self) -> LeadForecast:
        if not isinstance(self.model_, LeadForecast):
            raise AttributeError('this is known of dynamics="lead" only')
        return self.model_
