"""The network of a fit: an encoder and a head, and the plan that both are built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

import torch
from torch import Tensor, nn

from trajinfer._core.errors import InputError, nearest
from trajinfer._core.packing import packable
from trajinfer._core.seeding import seeded
from trajinfer.paths import Interpolation
from trajinfer.series.by_name import WITHOUT_CONTROL, Parameterization, make_dynamics
from trajinfer.series.controls import Controls, typical_slope
from trajinfer.series.encoder import Encoder
from trajinfer.series.heads import make_head
from trajinfer.series.recurrent_encoder import RecurrentEncoder
from trajinfer.series.sde_encoder import SDEEncoder
from trajinfer.series.series_batch import SeriesBatch

Dynamics = Literal[
    "langevin", "linear_noise", "geometric", "free", "ode", "cde", "latent_sde", "gru", "ode_rnn"
]
RECURRENT = ("gru", "ode_rnn")
NOISELESS = ("ode", "cde", *RECURRENT)


@packable
@dataclass(frozen=True)
class Shape:
    """Figures of the training data that a network is built for.

    Attributes:
        n_channels: C.
        n_statics: S.
        step: largest step of the solver, in rescaled time.
        slope_scale: typical slope of the control path.
        most_counts: largest number of observations of a channel.
        most_steps: bound on the steps along a series, so that a span far beyond the others costs
            no more than twice theirs; None: no bound.
    """

    n_channels: int
    n_statics: int
    step: float
    slope_scale: float
    most_counts: float
    most_steps: int | None = None

    @classmethod
    def of(
        cls, batches: Sequence[SeriesBatch], step: float | None = None, per_span: int = 40
    ) -> Self:
        """Measure training series.

        Args:
            batches: the series.
            step: in rescaled time; None: the median span over `per_span`.
            per_span: steps on the median span.
        """
        most_steps = None
        if step is None:
            spans = torch.cat([batch.end - batch.times[:, 0] for batch in batches])
            step = float(spans.median()) / per_span
            most_steps = 2 * per_span
        return cls(
            n_channels=batches[0].values.shape[2],
            n_statics=batches[0].statics.shape[1],
            step=step if step > 0 else 1.0,
            slope_scale=typical_slope(batches),
            most_counts=max(float(batch.mask.sum(1).max()) for batch in batches),
            most_steps=most_steps,
        )


@packable
@dataclass(frozen=True)
class NetworkPlan:
    """Everything that fixes the modules of a network but their weights.

    Attributes:
        dynamics, parameterization, interpolation, control, stochastic: as the settings of the
            estimators are called.
        widths: H, then the widths of the hidden layers of the drift.
        shape: figures of the data.
        head: kind of the head.
        head_sizes: arguments of its class.
        method: solver of the SDE.
        by_batch: steps and noise by the place in the batch, as in version 0.1.
    """

    dynamics: Dynamics
    widths: tuple[int, ...]
    shape: Shape
    head: str
    head_sizes: dict[str, int] = field(default_factory=dict)
    parameterization: Parameterization = "pure"
    interpolation: Interpolation = "hermite"
    control: bool | None = None
    stochastic: bool = True
    method: str = "euler"
    by_batch: bool = False

    def __post_init__(self) -> None:
        if self.parameterization == "pure" and self.dynamics not in get_args(Dynamics):
            raise InputError(
                f"no pure dynamics '{self.dynamics}'; {nearest(self.dynamics, get_args(Dynamics))}"
            )

    @property
    def is_noisy(self) -> bool:
        """Whether the states depend on paths of noise."""
        return self.stochastic and self.dynamics not in NOISELESS

    def build(self, seed: int) -> Network:
        """A network with the first weights of a seed."""
        with seeded(seed):
            encoder = self._encoder(seed)
            return Network(encoder, make_head(self.head, self.widths[0], self.head_sizes), self)

    def _encoder(self, seed: int) -> Encoder:
        dim, *layers = self.widths
        shape = self.shape
        if self.dynamics in RECURRENT:
            return RecurrentEncoder(
                dim,
                shape.n_channels,
                shape.n_statics,
                flow=self.dynamics == "ode_rnn",
                layers=layers,
            )
        looks = self.dynamics not in WITHOUT_CONTROL if self.control is None else self.control
        dynamics = make_dynamics(
            self.dynamics,
            dim,
            Controls.width(shape.n_channels) if looks else 0,
            parameterization=self.parameterization,
            layers=layers,
            stochastic=self.stochastic,
            random_state=seed,
        )
        return SDEEncoder(
            dynamics,
            shape.n_channels,
            shape.n_statics,
            interpolation=self.interpolation,
            step=shape.step,
            most_steps=shape.most_steps,
            slope_scale=shape.slope_scale,
            most_counts=shape.most_counts,
            method=self.method,
            by_batch=self.by_batch,
        )


@packable
class Network(nn.Module):
    """An encoder, and a head that reads it.

    Args:
        encoder: from series to latent states.
        head: from latent states to answers.
        plan: that both were built from.
    """

    def __init__(self, encoder: Encoder, head: nn.Module, plan: NetworkPlan) -> None:
        super().__init__()
        self.encoder, self.head, self.plan = encoder, head, plan

    def to_state(self) -> dict[str, Any]:
        """The plan and the weights."""
        return {"plan": self.plan, "weights": dict(self.state_dict())}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Network:
        """The network that `to_state` described."""
        return network_of(state["plan"], state["weights"])


def network_of(plan: NetworkPlan, weights: dict[str, Tensor]) -> Network:
    """A trained network from its plan and its weights."""
    network = plan.build(0)
    network.load_state_dict(weights)
    return network.eval()
