"""Forecasts as a law of paths in the lead: experts, their validated mixture, noise along paths."""
