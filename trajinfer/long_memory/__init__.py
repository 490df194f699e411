"""Series driven by fractional noise: inference, forecasts and simulation."""

from trajinfer.long_memory.estimator import FractionalSDE

__all__ = ["FractionalSDE"]
