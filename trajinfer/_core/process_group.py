"""The processes that `torchrun` starts together, before torch is asked."""

from __future__ import annotations

import os


def is_first_process() -> bool:
    """Whether this process writes: the first of its group, or one that is alone."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"
