"""Numbers of threads, changed for a while and put back."""

from __future__ import annotations

import os
import sys
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
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1 if n_jobs == -1 else int(n_jobs))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run a block with one thread in torch and in every library of linear algebra."""
    with torch_threads(1), _controller(len(sys.modules)).limit(limits=1):
        yield


@lru_cache(maxsize=1)
def _controller(_n_modules: int) -> ThreadpoolController:
    """The libraries that are loaded; they are searched for again, in 6 ms, after an import."""
    return ThreadpoolController()
