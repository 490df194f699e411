"""Answers do not depend on torch's global state, and leave it as it was."""

import threading
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from trajinfer import ScoreDensity, fractional, load, simulate
from trajinfer._core.ambient import ordinary_state
from trajinfer._core.estimator import Estimator
from trajinfer._core.seeding import seeded
from trajinfer.processes import Brownian


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
        torch.where(torch.arange(3) > 1, 0.1, 0.7),
        torch.arange(1, 5).log(),
        torch.arange(0.0, 1.0, 0.1),
        torch.ones(3, dtype=torch.bfloat16) / 3,
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


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_default_dtype_changes_no_number(dtype):
    with ordinary_state(), seeded(5):
        expected = draws()
    torch.set_default_dtype(dtype)
    try:
        with ordinary_state(), seeded(5):
            found = draws()
        assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(torch.float32)
    assert [f.dtype for f in found] == [e.dtype for e in expected]
    assert all(map(torch.equal, expected, found))


@pytest.mark.parametrize("state", [torch.no_grad, torch.inference_mode])
def test_gradients_are_there_whatever_the_user_switched_off(state):
    with state():
        with ordinary_state():
            x = torch.ones(2, requires_grad=True)
            (x * 2).sum().backward()
            assert x.grad is not None
        assert not torch.is_grad_enabled()


class Mean(Estimator):
    """Answers with a tensor that a function made which is on no list of verbs."""

    def spread_of_ones(self):
        return torch.ones(2, requires_grad=True) @ torch.ones(2)


def test_every_public_function_of_an_estimator_is_independent_of_global_state():
    expected = Mean().spread_of_ones()
    with torch.device("meta"), torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = Mean().spread_of_ones()
    assert (found.device, found.dtype) == (expected.device, expected.dtype)
    assert found.requires_grad


@pytest.mark.parametrize(
    "answer",
    [
        partial(simulate, Brownian(volatility=1.0), [0.0], [0, 1, 2], n=3, random_state=0),
        partial(fractional.simulate_fbm, 0.3, [0.0, 0.5, 1.0], 3, random_state=0),
    ],
    ids=["simulate", "simulate_fbm"],
)
def test_functions_that_take_numpy_are_independent_of_the_default_device(answer):
    expected = answer().values
    with torch.device("meta"):
        np.testing.assert_array_equal(answer().values, expected)


def test_a_saved_model_is_read_whatever_the_default_device_is(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 2))
    density = ScoreDensity(model="mixture", n_components=1, random_state=0).fit(X)
    path = density.save(tmp_path / "density")
    with torch.device("meta"):
        loaded = load(path)
    np.testing.assert_array_equal(loaded.score_samples(X), density.score_samples(X))
