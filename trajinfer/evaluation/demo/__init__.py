"""The reports of `trajinfer demo`: two fits whose answer is known, as tables, text and a figure."""

from trajinfer.evaluation.demo.countries import Countries, CountriesReport
from trajinfer.evaluation.demo.predators import PredatorsReport

__all__ = ["Countries", "CountriesReport", "PredatorsReport"]
