"""Whether many small tasks are done before workers would have started."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from joblib import effective_n_jobs
from joblib.externals.loky import reusable_executor
from joblib.parallel import get_active_backend

Result = TypeVar("Result")
Item = TypeVar("Item")
START = 3.0
"""Seconds in which a worker starts: most of them are the import of torch."""


def yet_to_start(n_jobs: int | None) -> int:
    """How many processes a call of joblib would have to start; 0 where it needs none, or has them.

    Threads need none, and workers of dask or ray are not ours to start.
    """
    backend, configured = get_active_backend()
    started = getattr(reusable_executor, "_executor", None) is not None
    if type(backend).__name__ != "LokyBackend" or started:
        return 0
    return int(effective_n_jobs(configured if n_jobs is None else n_jobs))


def sooner_here(
    run: Callable[[Item], Result], items: Iterator[Item], count: int, workers: int
) -> list[Result]:
    """Results of the first items, as long as it is expected to be sooner to go on here.

    With R seconds of work left, n workers are through in START + R / n seconds.

    Args:
        run: what is done with an item.
        items: of which those that are done are taken.
        count: how many there are.
        workers: n, more than one.
    """
    results: list[Result] = []
    begun = time.perf_counter()
    for item in items:
        results.append(run(item))
        left = (time.perf_counter() - begun) * (count / len(results) - 1)
        if left > START + left / workers:
            break
    return results
