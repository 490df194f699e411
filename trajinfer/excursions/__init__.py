"""How long a process stays above or below a level, and how fast long stays become rare."""

from trajinfer.excursions.law import (
    ExcursionLaw,
    excursion_law,
    persistence_exponent,
)

__all__ = ["ExcursionLaw", "excursion_law", "persistence_exponent"]
