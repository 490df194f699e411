"""Containers: what goes into the estimators and what comes out."""

from trajinfer.data.jump_series import JumpSeries
from trajinfer.data.snapshots import Snapshots
from trajinfer.data.time_axis import TimeAxis
from trajinfer.data.trajectories import Trajectories

__all__ = ["JumpSeries", "Snapshots", "TimeAxis", "Trajectories"]
