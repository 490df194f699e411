"""Numbers of threads, changed for a while and put back."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from trajinfer._core.errors import InputError


@contextmanager
def torch_threads(n_jobs: int | None) -> Iterator[None]:
    """Run a block with `n_jobs` threads; None leaves the setting, -1 takes all cores.

    Raises:
        InputError: if `n_jobs` is neither None, -1 nor a positive integer.
    """
    if n_jobs is None:
        yield
        return
    if isinstance(n_jobs, bool) or n_jobs != int(n_jobs) or (n_jobs < 1 and n_jobs != -1):
        raise InputError(f"n_jobs must be None, -1 or a positive integer, got {n_jobs!r}")
    before = _blocks.entered(torch.get_num_threads())
    torch.set_num_threads(os.cpu_count() or 1 if n_jobs == -1 else int(n_jobs))
    try:
        yield
    finally:
        torch.set_num_threads(_blocks.left(before))


class _Blocks:
    """Blocks that run now, in whatever thread: torch's setting is one for the whole process.

    What the first of them found is put back after the last; of two that overlap, the second finds
    the number of the first.
    """

    def __init__(self) -> None:
        self._lock, self._running, self._found = threading.Lock(), 0, 0

    def entered(self, now: int) -> int:
        """Note that one begins; what it found."""
        with self._lock:
            self._found = now if self._running == 0 else self._found
            self._running += 1
            return now

    def left(self, before: int) -> int:
        """Note that one ends; what it has to put back."""
        with self._lock:
            self._running -= 1
            return before if self._running else self._found


_blocks = _Blocks()


@contextmanager
def one_thread() -> Iterator[None]:
    """Run a block with one thread in torch and in every library of linear algebra."""
    with torch_threads(1), _controller(len(sys.modules)).limit(limits=1):
        yield


@lru_cache(maxsize=1)
def _controller(_n_modules: int) -> ThreadpoolController:
    """The libraries that are loaded; they are searched for again, in 6 ms, after an import."""
    return ThreadpoolController()
