"""Time and memory of fits against the size of the data: `python -m tests.scale`."""
