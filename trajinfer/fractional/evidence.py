r"""The Gaussian likelihood of observations by whitening: what a search for parameters evaluates.

A series is cut into blocks that are filtered side by side, each given the state z at its start: the
whitened residuals of a block are $w + W z$, and its end is $b + A z + N(0, C)$. One step per block
then joins them. With $z \sim N(\mu, L L')$, $u = W'(w + W \mu)$ and $M = I + L' W' W L$, the
residuals $\rho = w + W \mu$ have

$$\rho' (I + W L L' W')^{-1} \rho = \rho' \rho - (L' u)' M^{-1} L' u, \qquad
  z \mid \text{block} \sim N(\mu - L M^{-1} L' u,\; L M^{-1} L').$$
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from trajinfer.fractional.kalman import covariance_root
from trajinfer.fractional.linear_model import LinearFractionalModel
from trajinfer.fractional.moves import Moves

_LONGEST_BLOCK = 100
_STEPS_PER_ROOT = 2.5
_JITTER = 1e-14
# lengths of gaps that agree to twelve digits are one
_PRECISION = 2.0**40


class Whitened(NamedTuple):
    """Sums over the observations of every series.

    Attributes:
        gram: (..., B, M, M) products of whitened columns.
        log_det: (..., B or 1) log-determinants of the covariances of the observations.
    """

    gram: Tensor
    log_det: Tensor


class _Blocks(NamedTuple):
    """Results of a filter of K blocks, given the state z at the start of each.

    Columns are those of all series that share a filter.

    Attributes:
        end: (..., K, S, columns) b.
        flow: (..., K, S, S) A.
        spread: (..., K, S, S) C.
        gram: (..., K, series of a filter, M, M) products w'w of the columns of a series.
        mixed: (..., K, S, columns) W'w.
        weight: (..., K, S, S) W'W.
        log_det: (..., K).
    """

    end: Tensor
    flow: Tensor
    spread: Tensor
    gram: Tensor
    mixed: Tensor
    weight: Tensor
    log_det: Tensor


@torch.no_grad()
def whitened(
    model: LinearFractionalModel,
    times: Tensor,
    columns: Tensor,
    observed: Tensor,
    *,
    n_steps: int | None = None,
) -> Whitened:
    """Products of columns that are whitened by the law of the observations.

    Args:
        model: parameters (..., 1).
        times: (T,) of all series, or (B, T), non-decreasing.
        columns: (B, T, M) or (..., B, T, M), data and regressors; what is not observed is ignored.
        observed: (..., B, T) bool, or (..., 1, T) where series do not differ.
        n_steps: length of a block; None cuts long series. One block alone keeps digits where
            observations have next to no noise.
    """
    columns = torch.where(observed[..., None], columns, 0.0)
    n_columns = columns.shape[-1]
    if times.ndim == 1 and observed.shape[-2] == 1:  # series are columns of one filter
        columns = columns.movedim(-3, -2).flatten(-2).unsqueeze(-3)
    length = times.shape[-1]
    if n_steps is None:
        n_steps = length if length <= _LONGEST_BLOCK else round(_STEPS_PER_ROOT * length**0.5)
    short = -length % n_steps
    gaps = pad(torch.diff(times, prepend=times[..., :1]), (0, short))
    moves = _moves(model, gaps.unflatten(-1, (-1, n_steps)))
    observations = _Observations(
        pad(columns, (0, 0, 0, short)).unflatten(-2, (-1, n_steps)),
        pad(observed, (0, short)).unflatten(-1, (-1, n_steps)),
        model.noise.square()[..., None],
        n_columns,
    )
    start = model.initial()
    if n_steps == length:
        block = _filtered(moves, observations, start[..., None, :, :], start[..., :0])
        return Whitened(block.gram.squeeze(-4).flatten(-4, -3), block.log_det.squeeze(-1))
    known = torch.zeros_like(start[..., None, :, :])
    every_state = torch.eye(start.shape[-1], dtype=torch.float64)
    return _joined(start, _filtered(moves, observations, known, every_state))


def log_evidence(
    model: LinearFractionalModel, times: Tensor, values: Tensor, observed: Tensor
) -> Tensor:
    """Log-density of the observations of every series, (..., B).

    Args:
        model: parameters (..., 1).
        times: (T,) of all series, or (B, T), non-decreasing.
        values: (..., B, T).
        observed: (..., B, T) bool, or (..., 1, T) where series do not differ.
    """
    white = whitened(model, times, values[..., None], observed)
    count = observed.to(torch.float64).sum(-1)
    return -0.5 * (white.gram[..., 0, 0] + white.log_det + count * math.log(2 * math.pi))


class _Observations(NamedTuple):
    """Columns (..., K, steps, series x M) of K blocks, bool (..., K, steps) and (...) variance."""

    columns: Tensor
    observed: Tensor
    noise: Tensor
    n_columns: int


def _moves(model: LinearFractionalModel, gaps: Tensor) -> Moves:
    """Moves over gaps (..., K, steps), each length of gap computed once where lengths repeat."""
    mantissa, exponent = torch.frexp(gaps)
    lengths, index = torch.unique(
        torch.ldexp(torch.round(mantissa * _PRECISION) / _PRECISION, exponent), return_inverse=True
    )
    if 2 * len(lengths) > gaps.numel():
        return model.per_step().per_step().moves(gaps)
    once = model.per_step().moves(lengths)

    def at_series(part: Tensor, tail: int) -> Tensor:
        """Without the axis of series, where the gaps have one."""
        return part if gaps.ndim == 2 else part.squeeze(-2 - tail)

    return Moves(
        at_series(once.stay, 0)[..., index],
        at_series(once.row, 1)[..., index, :],
        once.decay[index],
        at_series(once.own, 0)[..., index],
        at_series(once.with_y, 1)[..., index, :],
        once.among[index],
    )


def _filtered(
    moves: Moves, observations: _Observations, covariance: Tensor, directions: Tensor
) -> _Blocks:
    """The Kalman filter of all blocks at once.

    Covariance and means stand side by side in one matrix (..., S, S + columns + D).

    Args:
        moves: into the steps of every block.
        observations: of every block.
        covariance: (..., 1, S, S) of the state at the start of a block; its mean is 0.
        directions: (S, D) of the start by which the means are differentiated.
    """
    size, n_all = moves.row.shape[-1] + 1, observations.columns.shape[-1]
    top = torch.cat([moves.stay[..., None], moves.row], dim=-1)
    shape = np.broadcast_shapes(
        top.shape[:-2], observations.observed.shape[:-1], observations.columns.shape[:-2]
    )
    n_directions = directions.shape[-1]
    law = torch.zeros(*shape, size, size + n_all + n_directions, dtype=torch.float64)
    law[..., :size] = covariance
    if n_directions:
        law[..., size + n_all :] = directions
    data = pad(observations.columns, (size, n_directions))
    side_noise = torch.cat([moves.own[..., None], moves.with_y], dim=-1)
    n_means = n_all + n_directions
    decay = pad(moves.decay, (1, 0))
    both = torch.cat(
        [decay[..., :, None] * decay[..., None, :], decay[..., None].expand(*decay.shape, n_means)],
        dim=-1,
    )
    steps = [
        _Step(*step)
        for step in zip(
            top.unbind(-2),
            decay.unbind(-2),
            both.unbind(-3),
            side_noise.unbind(-2),
            pad(moves.among, (1, n_means, 1, 0)).unbind(-3),
            strict=True,
        )
    ]
    white, variances = [], []
    for step, row, seen in zip(
        steps, data.unbind(-2), observations.observed.unbind(-1), strict=True
    ):
        _advance(law, step)
        variance = torch.where(seen, law[..., 0, 0] + observations.noise, 1.0)
        residual = (law[..., 0, :] - row) * seen[..., None]
        law.addcmul_(
            (law[..., :, 0] / variance[..., None])[..., None], residual[..., None, :], value=-1
        )
        white.append(residual[..., size:] / variance.sqrt()[..., None])
        variances.append(variance)
    whole = torch.stack(white, dim=-2)
    each = whole[..., :n_all].unflatten(-1, (-1, observations.n_columns)).movedim(-2, -3)
    start = whole[..., n_all:]
    return _Blocks(
        law[..., size : size + n_all],
        law[..., size + n_all :],
        law[..., :size],
        each.mT @ each,
        start.mT @ whole[..., :n_all],
        start.mT @ start,
        torch.stack(variances, dim=-1).log().sum(-1),
    )


class _Step(NamedTuple):
    """One move z' = (top z, decay y) + noise.

    Attributes:
        top: (..., S) first row of the flow.
        decay: (..., S) the rest of its diagonal, after a 0.
        both: (..., S, S + M) what is left of covariances and means between coordinates but the
            first, whose row and column are 0.
        side_noise: (..., S) covariance of the noise of the first coordinate with that of all.
        among: (..., S, S + M) covariance of the noise of the others, 0 elsewhere.
    """

    top: Tensor
    decay: Tensor
    both: Tensor
    side_noise: Tensor
    among: Tensor


def _advance(law: Tensor, step: _Step) -> None:
    """Covariance and means (..., S, S + M), in place, by one step."""
    size = step.top.shape[-1]
    first = (step.top[..., None, :] @ law)[..., 0, :]
    torch.addcmul(step.among, law, step.both, out=law)
    # covariances are symmetric: what the first row of the flow makes of rows, it makes of columns
    own = first[..., :size]
    side = step.decay * own + step.side_noise
    side[..., 0] += (step.top * own).sum(-1)
    law[..., 0] = side
    law[..., 0, :size] = side
    law[..., 0, size:] = first[..., size:]


def _joined(start: Tensor, blocks: _Blocks) -> Whitened:
    """Sums over all blocks; the first state has mean 0 and covariance `start` (..., S, S)."""
    per_block = [part.unbind(axis) for part, axis in zip(blocks, (-3, -3, -3, -4, -3, -3, -1))]
    size = start.shape[-1]
    eye = torch.eye(size, dtype=torch.float64)
    covariance, mean = start, torch.zeros_like(blocks.end[..., 0, :, :])
    gram, log_det = torch.zeros_like(per_block[3][0]), torch.zeros_like(per_block[6][0])
    n_columns = gram.shape[-1]

    def each(products: Tensor) -> Tensor:
        """(..., S, columns) as (..., series, S, M)."""
        return torch.movedim(products.unflatten(-1, (-1, n_columns)), -2, -3)

    for end, flow, spread, own, mixed, weight, determinant in zip(*per_block):
        root = _root(covariance)
        moved = weight @ mean
        pull = mixed + moved
        inner = torch.linalg.cholesky(eye + root.mT @ weight @ root)
        told = torch.linalg.solve_triangular(inner, root.mT @ pull, upper=False)
        cross = each(mean).mT @ each(mixed)
        gram = gram + own + cross + cross.mT + each(mean).mT @ each(moved)
        gram = gram - each(told).mT @ each(told)
        log_det = log_det + determinant + 2 * inner.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        narrowed = torch.linalg.solve_triangular(inner, root.mT, upper=False)
        mean = end + flow @ (mean - narrowed.mT @ told)
        kept = flow @ narrowed.mT
        covariance = kept @ kept.mT + spread
    return Whitened(gram.flatten(-4, -3), log_det)


def _root(covariance: Tensor) -> Tensor:
    """A square root of a covariance that may be singular, or nearly."""
    scale = covariance.diagonal(dim1=-2, dim2=-1).clamp_min(1e-300).sqrt()
    unit = covariance / (scale[..., :, None] * scale[..., None, :])
    ridge = _JITTER * torch.eye(unit.shape[-1], dtype=torch.float64)
    root, failed = torch.linalg.cholesky_ex(unit + ridge)
    if failed.any():
        return covariance_root(covariance)
    return torch.as_tensor(scale[..., None] * root)
