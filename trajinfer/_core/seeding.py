"""Random states: one integer makes a result repeatable, and global state is never touched."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from trajinfer._core.ambient import OwnStream
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable

RandomState = int | np.random.Generator | np.random.RandomState | torch.Generator | None

_SEED_BOUND = 2**63 - 1


def seed_from(random_state: RandomState) -> int:
    """Turn what a user gives as `random_state` into one non-negative integer.

    None draws fresh entropy from the system. Generators are advanced by one draw, so that two
    calls with the same generator give different seeds.

    Raises:
        InputError: if `random_state` is of another kind or a negative integer.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1))
    if isinstance(random_state, bool) or not isinstance(
        random_state,
        (int, np.integer, np.random.Generator, np.random.RandomState, torch.Generator),
    ):
        raise InputError(
            "random_state must be None, an int, a numpy or a torch Generator, "
            f"got {type(random_state).__name__}"
        )
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(_SEED_BOUND))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, torch.Generator):
        draw = torch.randint(_SEED_BOUND, (1,), generator=random_state, device=random_state.device)
        return int(draw.item())
    if random_state < 0:
        raise InputError(f"random_state must be non-negative, got {random_state}")
    return int(random_state)


def spawn(seed: int, n: int) -> list[int]:
    """`n` statistically independent seeds that depend on `seed` only."""
    children = np.random.SeedSequence(seed).spawn(n)
    return [int(child.generate_state(1, np.uint64)[0] >> np.uint64(1)) for child in children]


@packable
@dataclass(frozen=True)
class Seeds:
    """Independent seeds of one fit, by what they are for.

    Attributes:
        weights: first values of parameters.
        batches: order of the training data.
        noise: paths of noise during training and validation.
        split: what is held out.
        draws: samples after the fit.
    """

    weights: int
    batches: int
    noise: int
    split: int
    draws: int

    @classmethod
    def of(cls, seed: int) -> Self:
        """The seeds that depend on `seed` only."""
        return cls(*spawn(seed, 5))


def torch_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator of its own, seeded with `seed`."""
    return torch.Generator(device=device).manual_seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block, such as the initialisation of a network, on a random stream of its own.

    Torch's global stream is neither used nor moved, so that threads do not disturb each other.
    """
    with OwnStream(seed):
        yield


@contextmanager
def own_numpy_stream(seed: int) -> Iterator[None]:
    """Run a call of a library that draws from numpy's global generator alone, and put it back."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002, TID251 - such a library takes no other generator
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def seeds_by_name(seed: int, names: Sequence[Hashable]) -> list[int]:
    """Independent seeds, one per name: each depends on `seed` and the name only.

    A name that comes again gets another seed each time.

    Example:
        >>> one, other = seeds_by_name(0, ["a", "b"])
        >>> seeds_by_name(0, ["b", "a"]) == [other, one]
        True
    """
    seeds, times = [], dict.fromkeys(names, 0)
    for name in names:
        text = f"{times[name]} {name!s}".encode()
        words = np.frombuffer(hashlib.blake2b(text, digest_size=16).digest(), dtype=np.uint32)
        state = np.random.SeedSequence([seed, *map(int, words)]).generate_state(1, np.uint64)
        seeds.append(int(state[0] >> np.uint64(1)))
        times[name] += 1
    return seeds
