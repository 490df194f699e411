"""Series driven by fractional noise: inference, forecasts and simulation."""

from trajinfer.long_memory.fractional_sde import FractionalSDE

__all__ = ["FractionalSDE"]
