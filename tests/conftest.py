"""What every test stands on: one thread, untouched global state, and the way to the shared data."""

from __future__ import annotations

import functools
import gc
import os
import random
from pathlib import Path

# Read when the libraries are loaded: threads that wait for one another on small matrices burn many
# times the work, the more the busier the machine.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import pytest

# numpy, torch and what stands on them are imported by the fixtures that need them: the process that
# hands the tests to the workers loads this file too, and the workers wait for it.


def _global_state():
    """Everything that belongs to the user and that no test may leave changed."""
    import numpy as np
    import torch

    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 (read only)
    return {
        "numpy's global generator": (name, keys.tobytes(), position, has_gauss, cached),
        "torch's global generator": torch.get_rng_state().numpy().tobytes(),
        "the generator of `random`": random.getstate(),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's default device": str(torch.get_default_device()),
        "torch's number of threads": torch.get_num_threads(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's determinism setting": torch.are_deterministic_algorithms_enabled(),
    }


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Run torch on one thread: results and timings then depend on nothing else."""
    import ot  # noqa: F401 (now, because its first import moves the generator of `random`)
    import torch

    torch.set_num_threads(1)


def _without_trace(function):
    import numpy as np
    import torch

    @functools.wraps(function)
    def call(*args, **kwargs):
        of_numpy, of_torch = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
        try:
            return function(*args, **kwargs)
        finally:
            np.random.set_state(of_numpy)  # noqa: NPY002
            torch.set_rng_state(of_torch)

    return call


@pytest.fixture(scope="session", autouse=True)
def oracle_without_trace():
    """Put back what torchsde, a second opinion in many tests, draws from the global generators."""
    import torchsde

    patch = pytest.MonkeyPatch()
    for owner, name in (
        (torchsde, "sdeint"),
        (torchsde, "sdeint_adjoint"),
        (torchsde.BrownianInterval, "__init__"),
    ):
        patch.setattr(owner, name, _without_trace(getattr(owner, name)))
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def global_state_untouched(one_thread, oracle_without_trace):
    """Fail the test that reads or moves global random state, or leaves another setting changed."""
    before = _global_state()
    yield
    after = _global_state()
    changed = [name for name, value in before.items() if after[name] != value]
    assert not changed, f"the test changed {' and '.join(changed)}"


@pytest.fixture
def rng():
    """A numpy generator; its draws are float64."""
    import numpy as np

    return np.random.default_rng(20240823)


@pytest.fixture(scope="session")
def shared_data():
    """Folder of the shared data sets (TRAJINFER_DATA), which are not part of the repository."""
    named = os.environ.get("TRAJINFER_DATA")
    if not named:
        pytest.skip("TRAJINFER_DATA does not name a folder of data")
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"TRAJINFER_DATA names {folder}, which is not a folder")
    return folder


def pytest_collection_finish():
    """Half a million objects of libraries stay for good; no collection need look at them again."""
    gc.collect()
    gc.freeze()


def pytest_ignore_collect(collection_path):
    """Doctests are looked for in the package; below tests only files of tests are collected."""
    helper = collection_path.suffix == ".py" and not collection_path.name.startswith("test_")
    return True if helper else None
