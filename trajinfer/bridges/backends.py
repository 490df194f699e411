"""Which way of coupling a fit takes, and why."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from trajinfer._core.errors import InputError, nearest
from trajinfer.data import Snapshots
from trajinfer.processes import Process
from trajinfer.sde import SDELike

logger = logging.getLogger(__name__)

Backend = Literal["auto", "exact", "linear_noise", "mixture", "ipf", "matching"]
_BACKENDS = ("auto", "exact", "linear_noise", "mixture", "ipf", "matching")
_LEARNED = ("ipf", "matching")
_LARGEST_SEGMENT = 2**22
_FEW_DIMENSIONS, _PROBES = 3, 64


@dataclass(frozen=True)
class BackendChoice:
    """How a fit couples snapshots.

    Attributes:
        name: "exact" or "linear_noise" (atoms against atoms under these laws), "mixture", or
            "ipf" and "matching" (atoms, and a drift between them that is learned).
        reason: why, in a few words.
        max_samples: bound on the points of a snapshot among atoms; None bounds their memory.
    """

    name: str
    reason: str
    max_samples: int | None = None

    @property
    def is_mixture(self) -> bool:
        """Whether potentials are mixtures."""
        return self.name == "mixture"

    @property
    def learns_drift(self) -> bool:
        """Whether paths between atoms are drawn by a drift that is learned."""
        return self.name in _LEARNED


def check_backend(backend: str) -> None:
    """Refuse words that name no backend.

    Raises:
        InputError: naming the nearest one.
    """
    if backend not in _BACKENDS:
        raise InputError(f"unknown backend {backend!r}; {nearest(str(backend), _BACKENDS)}")


def choose_backend(
    backend: Backend,
    max_samples: int | None,
    reference: SDELike,
    snapshots: Snapshots,
    *,
    mass_changes: bool = False,
) -> BackendChoice:
    """The backend that was asked for, or the one that these snapshots call for.

    Couplings of atoms take the square of the number of points, and in many dimensions no atom
    stands near the place where an individual should arrive. Above 2^22 pairs in a segment, "auto"
    therefore takes mixture potentials, but for data in few dimensions, where points are dense. It
    never takes "ipf" or "matching": a drift that is learned costs a training and misses by more
    than the closed form.

    Raises:
        InputError: if "exact" is asked of a reference without exact laws, or a drift to be learned
            where mass changes, or "ipf" of noise that is not the same everywhere.
    """
    affine = isinstance(reference, Process) and reference.affine(reference.values()) is not None
    laws = "exact" if affine else "linear_noise"
    if backend == "exact" and not affine:
        raise InputError(
            "backend='exact' needs an affine drift with constant noise; "
            f"use backend='linear_noise' for {type(reference).__name__}"
        )
    if backend in _LEARNED and mass_changes:
        raise InputError(
            f"backend={backend!r} knows no growth; leave backend='auto', or take "
            "backend='mixture', which also gives a drift that is smooth everywhere"
        )
    if backend == "ipf":
        _require_even_noise(reference, snapshots)
    if backend != "auto":
        return BackendChoice(backend, "as asked", max_samples)
    sizes = [len(points) for points in snapshots.points]
    pairs = max(n * m for n, m in itertools.pairwise(sizes))
    if max_samples is not None:
        return BackendChoice(laws, "max_samples bounds the atoms", max_samples)
    if pairs <= _LARGEST_SEGMENT:
        return BackendChoice(laws, f"at most {pairs} pairs of points in a segment")
    if snapshots.dim <= _FEW_DIMENSIONS:
        choice = BackendChoice(
            laws,
            f"{pairs} pairs of points in a segment, dense in {snapshots.dim} dimensions: part of "
            "the points couples, all are answered for",
            int(_LARGEST_SEGMENT**0.5),
        )
    else:
        choice = BackendChoice(
            "mixture", f"{pairs} pairs of points in a segment, in {snapshots.dim} dimensions"
        )
    logger.info("backend %s: %s", choice.name, choice.reason)
    return choice


def _require_even_noise(reference: SDELike, snapshots: Snapshots) -> None:
    """Refuse a reference whose noise depends on the state or on time.

    Raises:
        InputError: naming the reference.
    """
    with torch.no_grad():
        seen = torch.cat(
            [
                reference.g(torch.as_tensor(t), torch.as_tensor(np.array(points[:_PROBES])))
                for t, points in zip(snapshots.times, snapshots.points, strict=True)
            ]
        )
    if not torch.allclose(seen, seen[:1].expand_as(seen), rtol=1e-9, atol=0.0):
        raise InputError(
            "backend='ipf' needs noise that is the same everywhere, which that of "
            f"{type(reference).__name__} is not; leave backend='auto'"
        )
