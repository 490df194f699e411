import numpy as np
import pytest
import torch

from trajinfer._core.errors import InputError
from trajinfer._core.seeding import seed_from, seeded, spawn, torch_generator


def test_an_integer_is_its_own_seed():
    assert seed_from(7) == 7
    assert seed_from(np.int32(7)) == 7
    assert type(seed_from(np.int64(7))) is int


@pytest.mark.parametrize(
    "make",
    [
        np.random.default_rng,
        np.random.RandomState,
        lambda seed: torch.Generator().manual_seed(seed),
    ],
    ids=["numpy", "RandomState", "torch"],
)
def test_a_generator_is_advanced_and_repeats_itself(make):
    generator = make(3)
    first, second = seed_from(generator), seed_from(generator)
    again = make(3)
    assert first != second
    assert [seed_from(again), seed_from(again)] == [first, second]
    assert seed_from(make(4)) != first
    assert 0 <= first < 2**63


def test_none_draws_fresh_entropy():
    seeds = {seed_from(None) for _ in range(20)}
    assert len(seeds) == 20
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("state", ["7", 7.0, True, np.random, object()])
def test_other_kinds_are_refused(state):
    with pytest.raises(InputError, match="random_state must be None, an int"):
        seed_from(state)


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match="non-negative, got -1"):
        seed_from(-1)


def test_children_depend_on_the_seed_and_their_place_only():
    assert spawn(5, 3) == spawn(5, 3)
    assert spawn(5, 10)[:3] == spawn(5, 3)
    assert len({*spawn(5, 100), *spawn(6, 100), 5, 6}) == 202


def test_children_of_neighbouring_seeds_are_independent():
    # 2000 pairs: the correlation of independent draws stays within 5 / sqrt(2000) but once in 1e6.
    draws = np.array(
        [
            [torch.rand(1, generator=torch_generator(s)).item() for s in spawn(seed, 2)]
            for seed in range(2000)
        ]
    )
    bound = 5 / np.sqrt(2000)
    assert abs(np.corrcoef(draws[:, 0], draws[:, 1])[0, 1]) < bound
    assert abs(np.corrcoef(draws[1:, 0], draws[:-1, 0])[0, 1]) < bound
    assert abs(draws.mean() - 0.5) < 5 * np.sqrt(1 / 12 / draws.size)


def test_a_generator_has_its_own_stream():
    first = torch.rand(3, generator=torch_generator(1))
    torch_generator(2)
    assert torch.equal(first, torch.rand(3, generator=torch_generator(1)))


def test_a_seeded_block_repeats_itself_and_leaves_no_trace():
    before = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(4)
    assert torch.equal(before, torch.get_rng_state())
    with seeded(3):
        assert torch.equal(first, torch.rand(4))
    with seeded(4):
        assert not torch.equal(first, torch.rand(4))


def test_a_seeded_block_restores_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), seeded(3):
        torch.rand(1) @ torch.rand(2)
    assert torch.equal(before, torch.get_rng_state())
