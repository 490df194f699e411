"""Answers do not depend on torch's global state, and leave it as it was."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from trajinfer._core.ambient import ordinary_torch
from trajinfer._core.seeding import seeded


def draws():
    """One of every kind of draw that initialisation, training and dropout make."""
    layer = nn.Linear(3, 4)
    return [
        layer.weight.detach(),
        nn.LayerNorm(3).weight.detach(),
        nn.init.orthogonal_(torch.empty(3, 3)),
        torch.rand(3),
        torch.randn(17),
        torch.randint(10**6, (4,)),
        torch.randperm(9),
        torch.rand_like(torch.zeros(3)),
        torch.randn_like(torch.zeros(3)),
        torch.empty(5).normal_(),
        nn.Dropout(0.4)(torch.ones(40)),
        torch.tensor([0.1, 0.2]),
        torch.full((2,), 0.5),
        torch.arange(4) / 3,
        torch.linspace(0, 1, 4, dtype=torch.float64),
        torch.as_tensor(np.ones(2)),
    ]


def test_a_stream_of_its_own_is_that_of_torch_for_the_same_seed():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        expected = draws()
    before = torch.get_rng_state()
    with seeded(5):
        found = draws()
    assert all(map(torch.equal, expected, found))
    assert torch.equal(before, torch.get_rng_state())


def test_streams_in_threads_do_not_meet():
    results = []

    def work():
        with seeded(3):
            results.append([torch.rand(1).item() for _ in range(500)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(result == results[0] for result in results)


def test_default_dtype_changes_no_number():
    with ordinary_torch(), seeded(5):
        expected = draws()
    torch.set_default_dtype(torch.float64)
    try:
        with ordinary_torch(), seeded(5):
            found = draws()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert [f.dtype for f in found] == [e.dtype for e in expected]
    assert all(map(torch.equal, expected, found))


@pytest.mark.parametrize("state", [torch.no_grad, torch.inference_mode])
def test_gradients_are_there_whatever_the_user_switched_off(state):
    with state():
        with ordinary_torch():
            x = torch.ones(2, requires_grad=True)
            (x * 2).sum().backward()
            assert x.grad is not None
        assert not torch.is_grad_enabled()
