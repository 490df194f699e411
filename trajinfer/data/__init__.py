"""Containers: what goes into the estimators and what comes out."""

from trajinfer.data.forecast import Forecast
from trajinfer.data.input import as_jump_series, as_series, as_snapshots
from trajinfer.data.irregular_series import IrregularSeries
from trajinfer.data.jump_series import JumpSeries
from trajinfer.data.snapshots import Snapshots
from trajinfer.data.time_axis import TimeAxis
from trajinfer.data.trajectories import Trajectories
from trajinfer.data.windows import Windows

__all__ = [
    "Forecast",
    "IrregularSeries",
    "JumpSeries",
    "Snapshots",
    "TimeAxis",
    "Trajectories",
    "Windows",
    "as_jump_series",
    "as_series",
    "as_snapshots",
]
