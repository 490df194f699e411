"""Many independent fits: on joblib's current back end, with the same results on any."""

from __future__ import annotations

import gc
import itertools
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from operator import length_hint
from typing import Any, TypeVar

import numpy as np
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

from trajinfer._core.checkpoint_folder import CheckpointFolder, open_folder, using
from trajinfer._core.errors import InputError, TaskFailure
from trajinfer._core.threads import one_thread
from trajinfer._core.worker_start import sooner_here, yet_to_start

Result = TypeVar("Result")
Warnings = tuple[type[Warning], ...]
_MANY = 10  # tasks per worker from which it costs little that the first one is done alone
_CALLS: set[str] = set()  # of this process, whose threads are limited already


@dataclass(frozen=True)
class Task:
    """One call among many.

    Attributes:
        name: heads the error if it fails, such as "bootstrap fit 3 of 200 (seed 17)".
        arguments: of the function.
    """

    name: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class SeededTasks:
    """One task per seed, which is its last argument and stands in its name.

    Attributes:
        word: what a task is, such as "bootstrap fit".
        seeds: of the tasks.
        arguments: the first ones of every task.
        progress: called with the name of a task before it is handed out; None for nothing.
    """

    word: str
    seeds: Sequence[int]
    arguments: tuple[Any, ...]
    progress: Callable[[str], None] | None = None

    def __len__(self) -> int:
        return len(self.seeds)

    def __iter__(self) -> Iterator[Task]:
        for k, seed in enumerate(self.seeds):
            name = f"{self.word} {k + 1} of {len(self.seeds)} (seed {seed})"
            if self.progress is not None:
                self.progress(name)
            yield Task(name, (*self.arguments, seed))


def fan_out(
    function: Callable[..., Result],
    tasks: Iterable[Task],
    *,
    n_jobs: int | None = None,
    quiet: Warnings = (),
) -> list[Result]:
    """Call a function once per task.

    The back end is that of `joblib.parallel_config`: processes if nothing else is said, also
    threads, dask or ray. A task runs on one thread, so that its numbers depend neither on the
    number of workers nor on their kind; random numbers must come from a seed among its arguments.
    Arrays of more than a megabyte are written once and mapped by all workers. Inside of
    `checkpointed`, results are kept as they come, and those that are there already are not made
    again.

    Args:
        function: defined at the top of a module.
        tasks: handed out in turn; an iterator is advanced when a worker is about to be free.
        n_jobs: workers; -1 takes all cores, None the number of `joblib.parallel_config`, else 1.
        quiet: warnings that say nothing new here.

    Returns:
        The results in the order of the tasks.

    Raises:
        InputError: if `n_jobs` is not a number of workers; of a task that raised one.
        TaskFailure: if a task raised anything else. Both name the task.
    """
    _require_workers(n_jobs)
    call = uuid.uuid4().hex
    _CALLS.add(call)
    try:
        with one_thread(), _ignoring(quiet):
            ask = partial(_asked, function, call=call, quiet=quiet, n_jobs=n_jobs)
            folder = open_folder()
            results = ask(tasks) if folder is None else _kept(folder, tasks, ask)
    except (KeyboardInterrupt, SystemExit):
        get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)
        raise
    finally:
        _CALLS.discard(call)
    return list(results)


def _asked(
    function: Callable[..., Result],
    tasks: Iterable[Task],
    *,
    call: str,
    quiet: Warnings,
    n_jobs: int | None,
    return_as: str = "list",
) -> Iterable[Result]:
    """The results of tasks, in their order."""
    workers, count, rest = yet_to_start(n_jobs), length_hint(tasks), iter(tasks)
    here: list[Result] = []
    if workers > 1 and count >= _MANY * workers:
        here = sooner_here(partial(_run, function, call=call, quiet=quiet), rest, count, workers)
        if len(here) == count:
            return here
    results: Iterable[Result] = Parallel(n_jobs=n_jobs, mmap_mode="c", return_as=return_as)(
        delayed(_run)(function, task, call, quiet) for task in rest
    )
    return itertools.chain(here, results)


def _kept(
    folder: CheckpointFolder, tasks: Iterable[Task], ask: Callable[..., Iterable[Result]]
) -> list[Result]:
    """The results of tasks, each kept as soon as it and all before it are there."""
    results: dict[int, Result] = {}
    places: list[str] = []
    handed_out: deque[int] = deque()

    def missing() -> Iterator[Task]:
        for k, task in enumerate(tasks):
            places.append(folder.next_place("task"))
            found = folder.read(places[k])
            if found is None:
                handed_out.append(k)
                yield task
            else:
                results[k] = found[0]

    for result in ask(missing(), return_as="generator"):
        k = handed_out.popleft()
        folder.write(places[k], result)
        results[k] = result
    return [results[k] for k in sorted(results)]


def _require_workers(n_jobs: int | None) -> None:
    whole = isinstance(n_jobs, (int, np.integer)) and not isinstance(n_jobs, bool)
    if n_jobs is not None and not (whole and n_jobs != 0):
        raise InputError(
            f"n_jobs must be None, a number of workers or -1 for all cores, got {n_jobs!r}"
        )


def _run(function: Callable[..., Result], task: Task, call: str, quiet: Warnings) -> Result:
    if call in _CALLS:
        return _named(function, task)
    _set_aside_imports()
    with one_thread(), _ignoring(quiet):
        return _named(function, task)


@cache
def _set_aside_imports() -> None:
    """Take what a worker has imported out of the reach of the collector, once per process.

    Loky collects garbage every second, which goes through all of it: as much work as small fits.
    """
    gc.collect()
    gc.freeze()


def _named(function: Callable[..., Result], task: Task) -> Result:
    try:
        with using(None):  # what is kept of a task is its result, with any back end
            return function(*task.arguments)
    except InputError as error:
        raise InputError(f"{task.name}: {error}") from error
    except Exception as error:
        raise TaskFailure(f"{task.name} failed with {type(error).__name__}: {error}") from error


@contextmanager
def _ignoring(quiet: Warnings) -> Iterator[None]:
    with warnings.catch_warnings():
        for category in quiet:
            warnings.simplefilter("ignore", category)
        yield
