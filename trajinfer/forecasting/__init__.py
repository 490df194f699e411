"""Forecasts as a law of paths in the lead: experts, their validated mixture, noise along paths."""

from trajinfer.forecasting.fitting import LawSettings
from trajinfer.forecasting.law import ForecastLaw
from trajinfer.forecasting.lead_forecast import LeadForecast
from trajinfer.forecasting.lead_process import LeadProcess
from trajinfer.forecasting.network import NetworkSettings
from trajinfer.forecasting.rhythm import times_ahead

__all__ = [
    "ForecastLaw",
    "LawSettings",
    "LeadForecast",
    "LeadProcess",
    "NetworkSettings",
    "times_ahead",
]
