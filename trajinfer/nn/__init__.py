"""Networks and parameters; they do not know what they drive."""

from trajinfer.nn.constrained import Parameter, Parameters
from trajinfer.nn.mlp import MLP, LipSwish
from trajinfer.nn.time_features import TimeFeatures

__all__ = ["MLP", "LipSwish", "Parameter", "Parameters", "TimeFeatures"]
