"""Regression on plain features: ridge, kernel ridge and boosted trees as arrays."""
