"""One training in two processes is that of one: the same course, one writer, one end."""

import json
import multiprocessing
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.training import together
from trajinfer import InputError
from trajinfer.training.processes import Processes


def _forked(folder, rank, options):
    environment = {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(options.pop("port")),
    }
    os.environ.update(environment)
    status = 0
    try:
        together.trained(folder, **options)
    except BaseException as error:  # noqa: BLE001 - its words are read by the test
        (folder / f"{rank}.error").write_text(f"{type(error).__name__}: {error}")
        status = 1
    os._exit(status)


@pytest.fixture
def two(tmp_path, free_port):
    """Run a training in two forks of this process, which need no imports."""

    def run(**options):
        context = multiprocessing.get_context("fork")
        workers = [
            context.Process(target=_forked, args=(tmp_path, rank, {**options, "port": free_port}))
            for rank in range(2)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        return tmp_path, [worker.exitcode for worker in workers]

    return run


@pytest.fixture
def free_port():
    import socket

    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


def _told(folder):
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def _require_one_course(told, alone):
    assert told[0]["steps"] == told[1]["steps"] == alone["steps"]
    np.testing.assert_allclose(told[0]["losses"], alone["losses"], rtol=0, atol=1e-5)
    assert told[0]["weights"] == told[1]["weights"]
    for here, there, whole in zip(*(one["rows"] for one in (*told, alone)), strict=True):
        assert [*here, *there] == whole
        assert not set(here) & set(there)


def test_two_processes_have_the_course_of_one(two, tmp_path):
    (tmp_path / "alone").mkdir()
    together.trained(tmp_path / "alone")
    alone = json.loads((tmp_path / "alone" / "0.json").read_text())
    folder, codes = two()
    assert codes == [0, 0]
    told = _told(folder)
    _require_one_course(told, alone)
    assert told[0]["stopped"] == told[1]["stopped"] == alone["stopped"]
    assert alone["stopped"]
    assert alone["steps"] == 20
    assert (folder / "course.csv").read_text().count("\n") > 1


def test_a_process_that_dies_ends_the_other_with_a_message(two):
    folder, codes = two(dies_at=7)
    assert codes == [1, 3]
    assert "another process of this training has ended" in (folder / "0.error").read_text()


def test_a_training_in_two_processes_goes_on_from_what_the_first_one_kept(two, tmp_path):
    (tmp_path / "alone").mkdir()
    together.trained(tmp_path / "alone")
    alone = json.loads((tmp_path / "alone" / "0.json").read_text())
    kept = tmp_path / "kept"
    _, codes = two(dies_at=7, kept=kept)
    assert codes == [1, 3]
    folder, codes = two(kept=kept)
    assert codes == [0, 0]
    here, there = _told(folder)
    assert here["weights"] == there["weights"]
    assert here["losses"] == there["losses"]
    assert 0 < len(here["losses"]) < 20  # the rest of the course
    np.testing.assert_allclose(
        here["losses"], alone["losses"][-len(here["losses"]) :], rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(
        np.concatenate(here["weights"]), np.concatenate(alone["weights"]), rtol=0, atol=1e-5
    )


def test_processes_of_different_seeds_are_refused(two):
    folder, codes = two(seed=5)
    assert codes == [1, 1]
    assert "one seed; give random_state=" in (folder / "0.error").read_text()


def test_batches_that_cannot_be_shared_are_refused():
    with pytest.raises(InputError, match="at least 2 rows, one per process, got 1 rows"):
        Processes(0, 2).part(torch.arange(1))
    with pytest.raises(InputError, match=r"must be a tensor of at least 2 rows, .* got tuple"):
        Processes(0, 2).part((1, 2))


@pytest.mark.slow
def test_under_torchrun(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    job = [*command, "-m", "tests.training.together", str(tmp_path)]
    subprocess.run(job, check=True, capture_output=True, timeout=600)
    (tmp_path / "alone").mkdir()
    together.trained(tmp_path / "alone")
    _require_one_course(_told(tmp_path), json.loads((tmp_path / "alone" / "0.json").read_text()))
    died = subprocess.run([*job, "5"], capture_output=True, text=True, timeout=600)
    assert died.returncode != 0
