"""The command line: every command is one call of the public interface."""

from trajinfer.cli.app import app, main

__all__ = ["app", "main"]
