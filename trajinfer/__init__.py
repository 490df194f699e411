"""Infer stochastic dynamics from observations that are scattered in time."""
