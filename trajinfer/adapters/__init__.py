"""Data from other libraries, and results in the forms that they read; a file per partner.

Estimators of sktime are imported from `trajinfer.adapters.sktime`, where sktime is installed.
"""

from trajinfer.adapters.arviz import to_arviz
from trajinfer.adapters.darts import from_darts
from trajinfer.adapters.gluonts import from_gluonts
from trajinfer.adapters.xarray import to_xarray

__all__ = ["from_darts", "from_gluonts", "to_arviz", "to_xarray"]
