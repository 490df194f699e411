"""The recognition network: rates, with intervals, from statistics of label paths in one pass."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import seeded
from trajinfer.data.jump_series import JumpSeries
from trajinfer.recognition.statistics import PathStatistics, binned_em, statistics_of

LEVELS = (0.90, 0.95)
_EDGE, _NODE, _GLOBAL = 25, 15, 22


@dataclass(frozen=True)
class Features:
    """What the network reads: (B, S, S, E), (B, S, N), (B, G), and the rates it corrects."""

    edges: Tensor
    nodes: Tensor
    whole: Tensor
    base: Tensor
    width: Tensor
    first: Tensor

    def to(self, dtype: torch.dtype) -> Features:
        """The same in another precision."""
        return Features(**{name: value.to(dtype) for name, value in vars(self).items()})


@dataclass(frozen=True)
class Prediction:
    """Output of the network, in units of 1 / tau.

    Attributes:
        rates: (B, S, S), zero diagonal.
        lower, upper: (B, S, S, 2) ends of the 90 % and 95 % intervals.
        link_logits: (B, S, S) log odds that the link exists.
        law_logits: (B, S) of the initial law.
        log_error: (B,) of the probability of a wrong label.
    """

    rates: Tensor
    lower: Tensor
    upper: Tensor
    link_logits: Tensor
    law_logits: Tensor
    log_error: Tensor


@dataclass(frozen=True)
class Recognition:
    """Estimates for B data sets, in the user's unit of time.

    Attributes:
        rates: (B, S, S) rate matrices, rows summing to 0.
        lower, upper: (B, S, S, 2) ends of the 90 % and 95 % intervals of the off-diagonal rates.
        link_probability: (B, S, S) probability that a link exists.
        initial: (B, S) law of the first state.
        label_noise: (B,) probability of a wrong label.
    """

    rates: Array
    lower: Array
    upper: Array
    link_probability: Array
    initial: Array
    label_noise: Array


def features_of(data: PathStatistics, error: Array) -> Features:
    """Equivariant features; `error` (B,) is NaN where the probability of a wrong label is unknown.

    No feature counts the paths as such: one long path and many short ones are the same to it.
    """
    fitted = binned_em(data, error)
    n = data.n_states
    counts = torch.as_tensor(data.counts)
    merged = counts.reshape(len(data), -1, 2, n, n).sum(dim=2).permute(0, 2, 3, 1)
    rows = merged.sum(dim=2, keepdim=True)
    changes = torch.as_tensor(data.changes())
    returns = torch.as_tensor(data.returns * ~np.eye(n, dtype=bool))
    dwell = torch.as_tensor(data.dwell)
    counting = (changes + 0.3) / (dwell + 0.3 * n)[:, :, None]
    log_base = torch.log(fitted.rates + 1e-6)
    exit_rate, entry = fitted.rates.sum(dim=2), fitted.rates.sum(dim=1)
    edges = torch.cat(
        [
            torch.log1p(merged),
            merged / (rows + 1),
            torch.stack(
                [
                    torch.log1p(returns),
                    returns / (changes + 1),
                    torch.log1p(changes),
                    torch.log(counting),
                    log_base,
                    log_base - torch.log(counting),
                    torch.log1p(fitted.jumps),
                    torch.log1p(fitted.jumps) - 0.5 * torch.log(fitted.dwell + 0.1)[:, :, None],
                    torch.log(fitted.dwell + 0.1)[:, :, None].expand(-1, -1, n),
                ],
                dim=-1,
            ),
        ],
        dim=-1,
    )
    first = torch.as_tensor(data.first)
    frequency = first / first.sum(dim=1, keepdim=True).clamp(min=1.0)
    stays = torch.diagonal(merged, dim1=1, dim2=2).permute(0, 2, 1)
    nodes = torch.cat(
        [
            torch.log1p(stays),
            torch.stack(
                [
                    dwell / dwell.sum(dim=1, keepdim=True).clamp(min=1e-12),
                    torch.log(dwell + 0.1),
                    torch.log1p(first),
                    frequency,
                    torch.log(exit_rate + 1e-6),
                    torch.log(entry + 1e-6),
                    torch.log(fitted.dwell + 0.1),
                ],
                dim=-1,
            ),
        ],
        dim=-1,
    )
    width = torch.sqrt(fitted.jumps + 0.5)[:, :, :] / (fitted.dwell + 0.5)[:, :, None]
    whole = _global_features(data, counts, fitted.error, error, returns.sum(dim=(1, 2)))
    return Features(edges, nodes, whole, fitted.rates + 2e-3, width, frequency)


def _global_features(
    data: PathStatistics, counts: Tensor, fitted: Tensor, error: Array, returns: Tensor
) -> Tensor:
    per_bin = counts.sum(dim=(2, 3))
    pairs = per_bin.reshape(len(data), -1, 2)
    sums = (per_bin * torch.as_tensor(data.gaps)).reshape(len(data), -1, 2).sum(dim=2)
    number = pairs.sum(dim=2)
    means = torch.where(number > 0, torch.log(sums / number.clamp(min=1.0) + 1e-3), 0.0)
    total = number.sum(dim=1)
    known = torch.as_tensor(np.isfinite(error)).double()
    told = torch.as_tensor(np.log(np.nan_to_num(error, nan=1.0) + 1e-3))
    single = torch.stack(
        [
            torch.log1p(total),
            torch.full_like(total, float(np.log(data.n_states / 6))),
            known,
            known * told,
            torch.log(fitted + 1e-4),
            torch.log((returns + 0.1) / (total + 1)),
        ],
        dim=-1,
    )
    return torch.cat([means, torch.log1p(number), single], dim=-1)


class _Round(nn.Module):
    """One exchange between edges, nodes and the whole, with residuals."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.edge = _mlp(5 * width, width)
        self.node = _mlp(4 * width, width)
        self.whole = _mlp(3 * width, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])

    def forward(
        self, e: Tensor, h: Tensor, g: Tensor, off: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Features (B, S, S, W), (B, S, W), (B, W); `off` (S, S, 1) is 0 on the diagonal."""
        shape = e.shape
        n = max(shape[1] - 1, 1)
        around = [
            e,
            e.transpose(1, 2),
            h[:, :, None].expand(shape),
            h[:, None].expand(shape),
            g[:, None, None].expand(shape),
        ]
        e = self.norms[0](e + self.edge(torch.cat(around, dim=-1)))
        out, into = (e * off).sum(dim=2) / n, (e * off).sum(dim=1) / n
        near = [h, out, into, g[:, None].expand(h.shape)]
        h = self.norms[1](h + self.node(torch.cat(near, dim=-1)))
        g = self.norms[2](g + self.whole(torch.cat([g, h.mean(dim=1), out.mean(dim=1)], dim=-1)))
        return e, h, g


def _mlp(n_in: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_in, width), nn.SiLU(), nn.Linear(width, width))


class RecognitionNetwork(nn.Module):
    r"""Rates of a Markov jump process from label paths, without fitting.

    The network corrects a few EM steps on binned pairs: $F_{ij} = F^{EM}_{ij} e^{c_{ij}}$ with
    bounded $c$, where c and the widths of the intervals come from edge, node and global features
    that exchange messages. It works for any number of states and paths, and is equivariant to
    relabelling the states and to the unit of time by construction.

    Args:
        width: of all hidden features.
        n_rounds: of messages.
    """

    def __init__(self, width: int = 64, n_rounds: int = 3) -> None:
        super().__init__()
        self.width, self.n_rounds = width, n_rounds
        self.edge_in = nn.Linear(_EDGE, width)
        self.node_in = nn.Linear(_NODE, width)
        self.whole_in = nn.Linear(_GLOBAL, width)
        self.rounds = nn.ModuleList([_Round(width) for _ in range(n_rounds)])
        self.edge_out = nn.Sequential(nn.Linear(3 * width, width), nn.SiLU(), nn.Linear(width, 6))
        self.node_out = nn.Linear(width, 1)
        self.whole_out = nn.Linear(width, 1)
        with torch.no_grad():
            for layer in (self.edge_out[2], self.node_out, self.whole_out):
                layer.weight.mul_(0.1)  # type: ignore[operator]
                layer.bias.zero_()  # type: ignore[operator]

    def forward(self, x: Features) -> Prediction:
        """One pass over B data sets."""
        n = x.nodes.shape[1]
        off = (1 - torch.eye(n, dtype=x.edges.dtype))[:, :, None]
        e, h, g = self.edge_in(x.edges), self.node_in(x.nodes), self.whole_in(x.whole)
        for layer in self.rounds:
            e, h, g = layer(e, h, g, off)
        ends = [e, e.transpose(1, 2), g[:, None, None].expand(e.shape)]
        out = self.edge_out(torch.cat(ends, dim=-1))
        hidden = off[..., 0]
        rates = x.base * torch.exp(4 * torch.tanh(out[..., 0] / 4)) * hidden
        widths = softplus(out[..., 2:6]) * x.width[..., None]
        upper = rates[..., None] + torch.stack(
            [widths[..., 0], widths[..., 0] + widths[..., 1]], -1
        )
        lower = rates[..., None] - torch.stack(
            [widths[..., 2], widths[..., 2] + widths[..., 3]], -1
        )
        law = self.node_out(h)[..., 0] + torch.log(x.first + 0.02)
        return Prediction(
            rates,
            lower * off,
            upper * off,
            out[..., 1],
            law,
            self.whole_out(g)[..., 0] + x.whole[:, -2],
        )

    def estimate(
        self,
        series: JumpSeries | list[JumpSeries],
        n_states: int | None = None,
        *,
        label_noise: float | None = 0.0,
    ) -> Recognition:
        """Rates of one data set or of many at once.

        Args:
            series: one or B data sets; only labels seen as snapshots are used.
            n_states: S; None is the largest number of labels among the data sets.
            label_noise: probability of a wrong label; None if it is to be estimated.

        Raises:
            InputError: if there is no data set, or fewer than two states.

        Example:
            >>> from trajinfer import jumps
            >>> rates, times = [[-1, 1], [2, -2]], [0, 0.4, 1]
            >>> data = jumps.simulate(rates, [0.5, 0.5], 200, times, random_state=0)
            >>> found = jumps.pretrained().estimate(data)
            >>> found.rates.shape, bool(abs(found.rates[0, 0, 1] - 1) < 0.4)
            ((1, 2, 2), True)
        """
        sets = [series] if isinstance(series, JumpSeries) else list(series)
        if not sets:
            raise InputError("give at least one JumpSeries")
        size = max(len(s.categories) for s in sets) if n_states is None else n_states
        if size < 2 or max(len(s.categories) for s in sets) > size:
            raise InputError(
                f"n_states={size} does not hold the {max(len(s.categories) for s in sets)} labels "
                "of the data, or is below 2"
            )
        return self.recognise(statistics_of(sets, size), label_noise)

    def recognise(self, data: PathStatistics, label_noise: float | None = 0.0) -> Recognition:
        """Rates from statistics; `label_noise` as in `estimate`."""
        error = np.full(len(data), np.nan if label_noise is None else label_noise)
        with torch.no_grad():
            out = self.double()(features_of(data, error))
        tau = data.tau[:, None, None]
        rates = out.rates.numpy() / tau
        diagonal = rates.sum(axis=2)[:, :, None] * np.eye(data.n_states)
        found = np.exp(out.log_error.numpy()) if label_noise is None else error
        return Recognition(
            rates - diagonal,
            np.maximum(out.lower.numpy(), 0.0) / tau[..., None],
            out.upper.numpy() / tau[..., None],
            torch.sigmoid(out.link_logits).numpy() * ~np.eye(data.n_states, dtype=bool),
            torch.softmax(out.law_logits, dim=1).numpy(),
            np.minimum(found, 0.5),
        )


def save_network(network: RecognitionNetwork, folder: Any, recipe: dict[str, Any]) -> None:
    """Write the weights in half precision and the recipe beside them."""
    weights = {k: v.detach().half().contiguous() for k, v in network.state_dict().items()}
    safetensors.torch.save_file(weights, folder / "recognition.safetensors")
    shape = {"width": network.width, "n_rounds": network.n_rounds}
    document = json.dumps({"network": shape, "recipe": recipe}, indent=2)
    (folder / "recognition.json").write_text(document + "\n", encoding="utf-8")


@cache
def pretrained() -> RecognitionNetwork:
    """The recognition network that ships with the package.

    Its recipe stands in `recognition.json` beside the weights; `make train-jumps` rebuilds it.
    """
    folder = files("trajinfer.recognition") / "weights"
    config = json.loads((folder / "recognition.json").read_text(encoding="utf-8"))
    weights = safetensors.torch.load((folder / "recognition.safetensors").read_bytes())
    with seeded(0):
        network = RecognitionNetwork(**config["network"]).double()
    network.load_state_dict({name: value.double() for name, value in weights.items()})
    return network.eval().requires_grad_(requires_grad=False)
