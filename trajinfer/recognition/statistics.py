"""Summaries of label paths that the recognition network reads, and the binned EM among them.

All of them transform with the states and with the unit of time: gaps are binned in units of
tau = total time / (1 + observed changes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.data.jump_series import JumpSeries

N_BINS = 16
_EDGES = 2.0 ** (np.arange(-9, 6) / 2)
_N_EM = 14
_RELAXATION = 1.6
_PSEUDO = 0.3
_GROUP = 1_000_000


@dataclass(frozen=True)
class PathStatistics:
    """Statistics of B data sets with S states each.

    Attributes:
        counts: (B, 16, S, S) pairs of consecutive labels by bin of the gap.
        gaps: (B, 16) mean gap of each bin, 0 where empty, in units of tau.
        returns: (B, S, S) number of label triples i, j, i; the diagonal counts i, i, i.
        triples: (B,) number of label triples.
        first: (B, S) number of paths with this first label.
        dwell: (B, S) time attributed to each label, half of a gap to either end, in units of tau.
        tau: (B,) unit of time.
    """

    counts: Array
    gaps: Array
    returns: Array
    triples: Array
    first: Array
    dwell: Array
    tau: Array

    def __len__(self) -> int:
        return len(self.tau)

    @property
    def n_states(self) -> int:
        """S."""
        return int(self.first.shape[1])

    def changes(self) -> Array:
        """(B, S, S) observed changes of label."""
        total = self.counts.sum(axis=1)
        return np.asarray(total * ~np.eye(self.n_states, dtype=bool))


def bin_of(scaled: Array) -> Array:
    """Bin of gaps in units of tau: half octaves from 0.044 to 5.7, open at both ends."""
    return np.searchsorted(_EDGES, scaled, side="right")


def statistics_of(series: Sequence[JumpSeries], n_states: int) -> PathStatistics:
    """Statistics of data sets whose codes run over 0 .. S - 1; sets of labels count as missing.

    Data sets are taken in groups of about a million observations, which bounds the memory.
    """
    load = np.cumsum([s.states.size for s in series]) // _GROUP
    cuts = np.flatnonzero(np.diff(load)) + 1
    groups = [list(part) for part in np.split(np.arange(len(series)), cuts)]
    parts = [_statistics_of([series[k] for k in group], n_states) for group in groups]
    fields = {name: np.concatenate([vars(p)[name] for p in parts]) for name in vars(parts[0])}
    return PathStatistics(**fields)


def _statistics_of(series: Sequence[JumpSeries], n_states: int) -> PathStatistics:
    keep = [s.states >= 0 for s in series]
    sizes = np.array([k.sum() for k in keep])
    offset = np.cumsum([0] + [len(s) for s in series])
    return summarise(
        np.repeat(np.arange(len(series)), sizes),
        np.concatenate([np.nonzero(k)[0] + o for k, o in zip(keep, offset)]),
        np.concatenate([s.times[k] for s, k in zip(series, keep)]),
        np.concatenate([s.states[k] for s, k in zip(series, keep)]),
        len(series),
        n_states,
    )


def summarise(
    owner: Array, path: Array, times: Array, labels: Array, n_sets: int, n_states: int
) -> PathStatistics:
    """Statistics of flat observations, ordered by path and time.

    Args:
        owner: (n,) the data set of each observation.
        path: (n,) its path, distinct between data sets.
        times: (n,) its time.
        labels: (n,) its label.
        n_sets: B.
        n_states: S.
    """
    n = n_states
    inside = path[1:] == path[:-1]
    start, end, who = labels[:-1][inside], labels[1:][inside], owner[1:][inside]
    gap = (times[1:] - times[:-1])[inside]
    moved = np.bincount(who, start != end, minlength=n_sets)
    time = np.bincount(who, gap, minlength=n_sets)
    tau = np.where(time > 0, time, 1.0) / (1 + moved)
    scaled = gap / tau[who]
    slot = who * N_BINS + bin_of(scaled)
    pair = slot * n * n + start * n + end
    counts = np.bincount(pair, minlength=n_sets * N_BINS * n * n).astype(float)
    number = np.bincount(slot, minlength=n_sets * N_BINS)
    sums = np.bincount(slot, scaled, minlength=n_sets * N_BINS)
    three = inside[1:] & inside[:-1]
    back = three & (labels[2:] == labels[:-2])
    turn = (owner[1:-1] * n + labels[:-2]) * n + labels[1:-1]
    fresh = np.concatenate([[True], ~inside]) if len(path) else np.zeros(0, dtype=bool)
    dwell = np.bincount(who * n + start, scaled / 2, minlength=n_sets * n)
    dwell += np.bincount(who * n + end, scaled / 2, minlength=n_sets * n)
    return PathStatistics(
        counts.reshape(n_sets, N_BINS, n, n),
        (sums / np.maximum(number, 1)).reshape(n_sets, N_BINS),
        np.bincount(turn[back], minlength=n_sets * n * n).astype(float).reshape(n_sets, n, n),
        np.bincount(owner[1:-1][three], minlength=n_sets).astype(float),
        np.bincount(owner[fresh] * n + labels[fresh], minlength=n_sets * n)
        .astype(float)
        .reshape(n_sets, n),
        dwell.reshape(n_sets, n),
        tau,
    )


@dataclass(frozen=True)
class BinnedFit:
    """A few regularised EM steps on binned pairs, in units of 1 / tau.

    Attributes:
        rates: (B, S, S) off-diagonal rates, zero diagonal.
        jumps: (B, S, S) expected jumps.
        dwell: (B, S) expected times.
        error: (B,) probability of a wrong label.
    """

    rates: Tensor
    jumps: Tensor
    dwell: Tensor
    error: Tensor


def binned_em(data: PathStatistics, error: Array) -> BinnedFit:
    r"""EM on the composite likelihood of consecutive label pairs.

    A pair (o, o') has probability $\sum_{s,s'} p(s|o)\, P_{ss'}\, E_{s'o'}$. Rates are drawn
    towards one jump per tau by 0.3 pseudo-jumps, so that states hardly seen stay finite.

    Args:
        data: the statistics.
        error: (B,) probability of a wrong label; NaN where it is estimated as well.
    """
    n, b = data.n_states, len(data)
    eye = torch.eye(n, dtype=torch.float64)
    counts = torch.as_tensor(data.counts)
    owner, slot = np.nonzero(data.counts.sum(axis=(2, 3)))
    who = torch.as_tensor(owner)
    cells = counts[owner, slot]
    gaps = torch.as_tensor(data.gaps[owner, slot])[:, None, None]
    changes = torch.as_tensor(data.changes())
    dwell = torch.as_tensor(data.dwell)
    total = counts.sum(dim=(1, 2, 3))
    known = torch.as_tensor(np.isfinite(error))
    guess = torch.as_tensor(_excess_returns(data, np.zeros(b))).clamp(1e-3, 0.15)
    eps = torch.where(known, torch.as_tensor(np.nan_to_num(error)), guess)
    unit = _PSEUDO * max(n - 1, 1)
    rates = (changes + _PSEUDO) / (dwell[:, :, None] + unit) * (1 - eye)
    visits = dwell + 1e-3
    jumps = changes
    for step in range(_N_EM):
        seen = (1 - eps)[:, None, None] * eye + (eps / max(n - 1, 1))[:, None, None] * (1 - eye)
        before = _backed_out(visits, seen)
        full = rates - torch.diag_embed(rates.sum(dim=-1))
        matrices = torch.linalg.matrix_exp(full[who] * gaps)
        emitted, origin = seen[who], before[who]
        chance = (origin @ matrices @ emitted).clamp(min=1e-300)
        ratio = torch.where(cells > 0, cells / chance, 0.0)
        weight = origin.transpose(1, 2) @ ratio @ emitted.transpose(1, 2)
        kernel = _van_loan(full[who].transpose(1, 2), weight, gaps)
        total_kernel = torch.zeros(b, n, n, dtype=torch.float64).index_add_(0, who, kernel)
        jumps = (rates * total_kernel).clamp(min=0.0)
        dwell = torch.diagonal(total_kernel, dim1=1, dim2=2).clamp(min=0.0)
        chance_back = _true_returns(data, who, matrices, cells, total)
        fresh = torch.as_tensor(_excess_returns(data, chance_back.numpy())).clamp(1e-4, 0.3)
        eps = torch.where(known, eps, (eps + fresh) / 2)
        plain = (jumps + _PSEUDO) / (dwell[:, :, None] + unit) * (1 - eye)
        stride = (plain / rates.clamp(min=1e-300)).clamp(0.05, 20.0) ** (_RELAXATION - 1)
        rates = plain if step == _N_EM - 1 else plain * stride
        visits = dwell + 1e-3
    return BinnedFit(rates, jumps, dwell, eps)


def _backed_out(visits: Tensor, seen: Tensor) -> Tensor:
    """(B, S, S) probability of the state (column) given its label (row)."""
    joint = visits[:, :, None] * seen
    return (joint / joint.sum(dim=1, keepdim=True).clamp(min=1e-300)).transpose(1, 2)


def _van_loan(transposed: Tensor, weight: Tensor, gaps: Tensor) -> Tensor:
    n = transposed.shape[-1]
    scale = weight.abs().amax(dim=(1, 2), keepdim=True).clamp(min=1e-300)
    block = torch.zeros(len(weight), 2 * n, 2 * n, dtype=torch.float64)
    block[:, :n, :n] = transposed
    block[:, n:, n:] = transposed
    block[:, :n, n:] = weight / scale
    power: Tensor = torch.linalg.matrix_exp(block * gaps)
    return power[:, :n, n:] * scale


def _true_returns(
    data: PathStatistics, who: Tensor, matrices: Tensor, cells: Tensor, total: Tensor
) -> Tensor:
    """(B,) expected number of triples i, j, i with j other than i that are no label flips."""
    shape = (len(data), data.n_states, data.n_states)
    number = cells.sum(dim=(1, 2))
    mean = torch.zeros(shape, dtype=torch.float64)
    mean.index_add_(0, who, matrices * number[:, None, None])
    mean = mean / total.clamp(min=1.0)[:, None, None]
    pairs = mean * mean.transpose(1, 2)
    back = pairs.sum(dim=2) - torch.diagonal(pairs, dim1=1, dim2=2)
    rows = torch.zeros(shape[:2], dtype=torch.float64).index_add_(0, who, cells.sum(dim=2))
    share = torch.as_tensor(data.triples) / total.clamp(min=1.0)
    return (rows * back).sum(dim=1) * share


def _excess_returns(data: PathStatistics, expected: Array) -> Array:
    """Probability of a wrong label that explains the returns beyond those expected, (B,).

    Of the triples whose ends agree, a share of e has another label in the middle by a flip.
    """
    same = data.returns.sum(axis=(1, 2))
    seen = same - np.trace(data.returns, axis1=1, axis2=2)
    return np.asarray(np.clip((seen - expected) / (same + 1.0), 0.0, 0.3))
