"""The devices of tests: one without hardware, and a real one where there is one."""

from contextlib import contextmanager

import pytest
import torch

from tests.conformance.second_device import second_device


@contextmanager
def cuda():
    """A real one, where there is one."""
    if not torch.cuda.is_available():
        pytest.skip("no device of CUDA is here")
    yield "cuda"


on_devices = pytest.mark.parametrize(
    "elsewhere",
    [
        pytest.param(second_device, id="second"),
        pytest.param(cuda, id="cuda", marks=pytest.mark.cuda),
    ],
)
