"""The law of values between observations by cheap experts, and what a network may add to it."""

from trajinfer.filling.cross_channel import CrossChannel, Surroundings, fit_cross_channel
from trajinfer.filling.hiding import Hiding, all_but, hidings, judges_hidden
from trajinfer.filling.linear_prior import PriorFamily, pool_of
from trajinfer.filling.linear_smoother import left_out, smooth
from trajinfer.filling.share_of_network import Comparison
from trajinfer.filling.tracks import Tracks

__all__ = [
    "Comparison",
    "CrossChannel",
    "Hiding",
    "PriorFamily",
    "Surroundings",
    "Tracks",
    "all_but",
    "fit_cross_channel",
    "hidings",
    "judges_hidden",
    "left_out",
    "pool_of",
    "smooth",
]
