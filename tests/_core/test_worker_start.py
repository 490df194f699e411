"""Small tasks are done before a worker would have started; long ones do not wait for each other."""

import itertools
import os
import threading

import joblib
import pytest
from joblib.externals.loky import reusable_executor

from trajinfer._core import worker_start
from trajinfer._core.parallel import SeededTasks, fan_out
from trajinfer._core.worker_start import sooner_here, yet_to_start


def _whereabouts(seed):
    return os.getpid(), threading.get_ident(), seed


@pytest.fixture
def cold(monkeypatch):
    """As if no worker had been started yet."""
    monkeypatch.setattr(reusable_executor, "_executor", None)


@pytest.fixture
def took(monkeypatch):
    """Set what every task takes, in seconds."""

    def setting(seconds):
        clock = itertools.count(0.0, seconds)
        monkeypatch.setattr(worker_start.time, "perf_counter", lambda: next(clock))

    return setting


@pytest.mark.parametrize(
    ("seconds", "count", "workers", "here"),
    [
        (0.01, 200, 2, 200),  # 2 s in all, where workers need 3 to start
        (0.5, 200, 2, 1),  # 100 s in all, 53 with workers
        (0.05, 200, 4, 1),  # 10 s in all, 5.5 with workers
    ],
)
def test_tasks_are_done_here_while_that_is_sooner(took, seconds, count, workers, here):
    took(seconds)
    items = iter(range(count))
    done = sooner_here(lambda k: k * k, items, count, workers)
    assert done == [k * k for k in range(here)]
    assert [*items] == [*range(here, count)]


def test_many_small_tasks_start_no_process(cold):
    told = []
    tasks = SeededTasks("task", range(40), (), told.append)
    found = fan_out(_whereabouts, tasks, n_jobs=2)
    assert found == [(os.getpid(), threading.get_ident(), k) for k in range(40)]
    assert told[0] == "task 1 of 40 (seed 0)"
    assert len(told) == 40
    assert reusable_executor._executor is None


def test_threads_have_nothing_to_start(cold):
    assert yet_to_start(2) == 2
    assert yet_to_start(1) == 1
    with joblib.parallel_config("threading", n_jobs=3):
        assert yet_to_start(None) == 0
    with joblib.parallel_config("loky", n_jobs=3):
        assert yet_to_start(None) == 3
