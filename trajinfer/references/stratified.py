"""Stratified draws of atoms and of their partners: far less noise than independent draws."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_atoms(mass: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Draw n indices, each as often as its mass says up to rounding, in random order.

    Args:
        mass: (N,) summing to 1; indices without mass are never drawn.
        n: number of draws.
        generator: of the random offset and order.

    Example:
        >>> draws = draw_atoms(torch.tensor([0.5, 0.25, 0.25]), 8, torch.Generator().manual_seed(0))
        >>> torch.bincount(draws).tolist()
        [4, 2, 2]
    """
    offset = torch.rand(1, generator=generator, dtype=torch.float64)
    levels = (torch.arange(n, dtype=torch.float64) + offset) / n
    draws = _invert(mass.double().cumsum(0), levels)
    return draws[torch.randperm(n, generator=generator)]


def draw_partners(plan: Tensor, atoms: Tensor, generator: torch.Generator) -> Tensor:
    """One partner for every drawn atom, systematically along the row of each atom.

    Args:
        plan: (N, M) coupling.
        atoms: (n,) row indices.
        generator: of the random offset and order of every row.

    Returns:
        (n,) column indices, each with its conditional law given the row.
    """
    n_rows, n_columns = plan.shape
    counts = torch.bincount(atoms, minlength=n_rows)
    # Ranks are drawn afresh: a path must not carry its place in the queue to the next segment.
    shuffled = torch.randperm(len(atoms), generator=generator)
    order = shuffled[torch.argsort(atoms[shuffled], stable=True)]
    first = counts.cumsum(0) - counts
    rank = torch.empty_like(atoms)
    rank[order] = torch.arange(len(atoms)) - first[atoms[order]]
    offset = torch.rand(n_rows, generator=generator, dtype=torch.float64)
    level = (rank + offset[atoms]) / counts[atoms]
    rows = plan.double()
    mass = rows.sum(1, keepdim=True)
    cumulative = (rows / torch.where(mass > 0, mass, 1.0)).cumsum(1)
    used, row_of = torch.unique(atoms, return_inverse=True)
    ladder = cumulative[used].clamp(max=1.0)
    ladder[:, -1] = 1.0
    steps = (ladder + torch.arange(len(used)).unsqueeze(1)).flatten()
    partners: Tensor = torch.searchsorted(steps, row_of + level, right=True) - row_of * n_columns
    return partners


def _invert(cumulative: Tensor, levels: Tensor) -> Tensor:
    """Smallest index whose cumulative mass exceeds each level."""
    total = cumulative / cumulative[-1]
    return torch.searchsorted(total, levels, right=True).clamp(max=len(total) - 1)
