"""Errors, checks, seeds and files: what every other room stands on."""
