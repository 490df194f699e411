"""Cheap experts on whole series: ridge and boosting on summaries and convolutions, and mixtures."""
