"""Fan-out: the same results for any number and kind of workers, failures with a name, no trace."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch

from trajinfer import InputError, MarkovJumpProcess, SchrodingerBridge, Snapshots, evaluation, jumps
from trajinfer._core.errors import TaskFailure
from trajinfer._core.parallel import Task, fan_out
from trajinfer.processes import LotkaVolterra, OrnsteinUhlenbeck


def _tasks(n):
    return (Task(f"task {k} (seed {100 + k})", (k,)) for k in range(n))


def _threads(_):
    return torch.get_num_threads()


def _noisy(k):
    warnings.warn("nothing new", RuntimeWarning, stacklevel=2)
    return k


def _failing(error):
    def call(k):
        if k == 3:
            raise error("no luck")
        return k

    return call


@pytest.fixture(scope="module")
def paths():
    return jumps.simulate([[-1, 1], [2, -2]], [1, 0], 40, np.arange(0, 3, 0.3), random_state=1)


@pytest.fixture(scope="module")
def rates(paths):
    return MarkovJumpProcess(2, method="mle", random_state=0).fit(paths)


def test_results_come_in_order_and_a_task_has_one_thread():
    torch.set_num_threads(2)
    try:
        with joblib.parallel_config("threading", n_jobs=3):
            assert fan_out(_threads, _tasks(6)) == [1] * 6
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert fan_out(lambda k: k * k, _tasks(5)) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize(("raised", "kind"), [(InputError, InputError), (ValueError, TaskFailure)])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_failure_is_named_with_its_seed(raised, kind, n_jobs):
    with (
        joblib.parallel_config("threading"),
        pytest.raises(kind, match=r"task 3 \(seed 103\).*no luck"),
    ):
        fan_out(_failing(raised), _tasks(6), n_jobs=n_jobs)


def test_warnings_that_say_nothing_new_are_silent_in_threads_too():
    with joblib.parallel_config("threading", n_jobs=2):
        assert fan_out(_noisy, _tasks(8), quiet=(RuntimeWarning,)) == list(range(8))
    with pytest.raises(TaskFailure, match="nothing new"):
        fan_out(_noisy, _tasks(1))


@pytest.mark.parametrize("n_jobs", [0, 1.5, True, "2"])
def test_a_number_of_workers_is_checked_first(n_jobs):
    with pytest.raises(InputError, match="n_jobs must be"):
        fan_out(_threads, _tasks(1), n_jobs=n_jobs)


def test_a_bootstrap_is_the_same_in_threads(rates):
    alone = rates.bootstrap(6, random_state=1)
    with joblib.parallel_config("threading", n_jobs=2):
        assert np.array_equal(rates.bootstrap(6, random_state=1), alone)
    assert len(np.unique(alone[:, 0, 1])) == 6


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_bootstrap_is_the_same_in_forks(rates):
    alone = rates.bootstrap(6, random_state=1)
    with joblib.parallel_config("multiprocessing", n_jobs=2):
        assert np.array_equal(rates.bootstrap(6, random_state=1), alone)


@pytest.mark.slow
def test_fits_are_the_same_in_processes(rates):
    """Functions that no module knows are sent as well, and so are failures."""
    alone = rates.bootstrap(6, random_state=1)
    assert np.array_equal(rates.bootstrap(6, random_state=1, n_jobs=2), alone)
    cells = Snapshots([0, 1], [np.random.default_rng(k).normal(size=(20, 2)) for k in (0, 1)])
    fits = [
        evaluation.bootstrap(
            SchrodingerBridge(OrnsteinUhlenbeck(dim=2), volatility=1.0),
            cells,
            4,
            statistic=lambda fitted: fitted.parameters_["theta"],
            random_state=0,
            n_jobs=n_jobs,
        )
        for n_jobs in (1, 2)
    ]
    assert np.array_equal(*fits)
    with pytest.raises(TaskFailure, match=r"task 3 \(seed 103\) failed with ValueError: no luck"):
        fan_out(_failing(ValueError), _tasks(6), n_jobs=2)


def test_the_bootstrap_of_any_estimator_is_that_of_jump_processes(rates, paths):
    other = evaluation.bootstrap(
        MarkovJumpProcess(2, method="mle"),
        paths,
        4,
        statistic=lambda fitted: fitted.rates_,
        random_state=1,
    )
    assert np.allclose(other, rates.bootstrap(4, random_state=1), rtol=1e-10)


def test_the_bootstrap_of_a_mean_has_its_standard_error():
    """Points of a snapshot are resampled: sd / root n, 100 refits, 5 errors of 7 % each."""
    rng = np.random.default_rng(0)
    data = Snapshots([0, 1], [rng.normal(size=(100, 1)), rng.normal(2.0, 3.0, (100, 1))])
    means = evaluation.bootstrap(_Means(), data, 100, statistic=lambda m: m.means_, random_state=0)
    errors = [points.std() / 10 for points in data.points]
    assert np.allclose(np.std(means, axis=0), errors, rtol=0.36)


class _Means:
    def get_params(self, deep=False):
        return {}

    def fit(self, X):
        self.means_ = [float(points.mean()) for points in X.points]
        return self


def test_leaving_snapshots_out_is_the_same_in_threads():
    rng = np.random.default_rng(0)
    data = Snapshots([0, 1, 2], [rng.normal(t, 1.0, (15, 2)) for t in (0, 1, 2)])
    bridge = SchrodingerBridge(volatility=1.0, random_state=0)
    alone = evaluation.leave_one_snapshot_out(bridge, data)
    with joblib.parallel_config("threading", n_jobs=2):
        together = evaluation.leave_one_snapshot_out(bridge, data)
    assert alone.drop(columns="seconds").equals(together.drop(columns="seconds"))
    cells = Snapshots([0, 1, 2], [rng.normal(size=(9, 3)) for _ in range(3)])
    with pytest.raises(InputError, match=r"leaving out time 0 \(1 of 3\): .*dimension"):
        evaluation.leave_one_snapshot_out(SchrodingerBridge(LotkaVolterra()), cells)


_ENDLESS = """
import os, sys, time
from trajinfer._core.parallel import Task, fan_out
def wait(k):
    open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
    time.sleep(300)
fan_out(wait, (Task(f"wait {k}", (k,)) for k in range(4)), n_jobs=2)
"""


@pytest.mark.slow
def test_an_interrupt_leaves_no_process_behind(tmp_path):
    script = tmp_path / "endless.py"
    script.write_text(textwrap.dedent(_ENDLESS))
    workers = tmp_path / "workers"
    workers.mkdir()
    run = subprocess.Popen(
        [sys.executable, script, workers],
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    while len(list(workers.iterdir())) < 2:
        assert run.poll() is None
        time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in run.communicate(timeout=120)[1]
    for pid in [int(path.name) for path in workers.iterdir()]:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.slow
def test_a_bootstrap_is_the_same_on_a_dask_cluster(rates):
    distributed = pytest.importorskip("distributed", reason="dask is not installed")
    alone = rates.bootstrap(6, random_state=1)
    of_python = random.getstate()
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as two,
        distributed.Client(two),
        joblib.parallel_config("dask"),
    ):
        assert np.array_equal(rates.bootstrap(6, random_state=1), alone)
    random.setstate(of_python)  # dask draws names from it
