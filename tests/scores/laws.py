"""Laws with known answers: those that `examples/reproduce/sampler_accuracy.py` measures."""

from examples.reproduce.sampler_accuracy import ring, rms, sixteen, wrong

__all__ = ["ring", "rms", "sixteen", "wrong"]
