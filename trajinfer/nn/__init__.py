"""Networks and parameters; they do not know what they drive."""

from trajinfer.nn.constrained import Parameter, Parameters

__all__ = ["Parameter", "Parameters"]
