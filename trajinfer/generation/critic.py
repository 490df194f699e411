"""Adversarial training: a neural controlled equation judges the paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn
from trajinfer.generation.chain import Chain
from trajinfer.generation.path_losses import PathSimulator, time_augmented
from trajinfer.metrics import expected_signature_distance, from_zero
from trajinfer.nn import MLP
from trajinfer.sde import SDE, solve
from trajinfer.training import (
    Batches,
    Callback,
    Loss,
    Optimization,
    Report,
    Run,
    WeightAverage,
    train,
)


class ControlledEquation(SDE):
    r"""$dh = \tanh(F_\phi(h))\,dY$: an SDE without drift whose noise is the path that is judged.

    Args:
        width: of the hidden state h.
        channels: of Y, time included.
        seed: of the weights.
    """

    sde_type = "stratonovich"
    noise_type = "general"

    def __init__(self, width: int, channels: int, seed: int) -> None:
        super().__init__()
        self.dim, self.noise_dim = width, channels
        self.field = MLP(
            width, width * channels, (width,), activation="lipswish", random_state=seed
        )

    def f(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """No drift."""
        return torch.zeros_like(y)

    def g(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """The vector fields, (B, width, channels)."""
        return torch.tanh(self.field(y)).reshape(len(y), self.dim, self.noise_dim)


class Critic(nn.Module):
    """Score of paths: start, controlled equation along the path, linear read-out.

    The equation is driven by the increments of the linear interpolation, time first, and solved by
    reversible Heun with one step per interval.

    Args:
        channels: of the paths, time included.
        width: of the hidden state.
        seed: of the weights.

    References:
        Kidger, Foster, Li, Oberhauser and Lyons, ICML 2021, section 3.
    """

    def __init__(self, channels: int, width: int, seed: int) -> None:
        super().__init__()
        first, second, third = spawn(seed, 3)
        self.start = MLP(channels, width, (width,), activation="lipswish", random_state=first)
        self.equation = ControlledEquation(width, channels, second)
        self.readout = MLP(width, 1, (), random_state=third)

    def forward(self, paths: Tensor) -> Tensor:
        """Scores (n,) of augmented paths (n, T, C)."""
        h0 = self.start(paths[:, 0])
        steps = range(paths.shape[1])
        hidden = solve(
            self.equation,
            h0,
            [float(k) for k in steps],
            noise=paths.diff(dim=1),
            method="reversible_heun",
            save="final",
        ).ys[:, -1]
        score: Tensor = self.readout(hidden)[:, 0]
        return score


class LipschitzBound(Callback):
    r"""Keep every weight matrix within $\pm 1 / \text{fan-in}$ after each step.

    Together with activations of slope at most 1 this bounds the Lipschitz constant in the maximum
    norm without a gradient penalty.

    References:
        Kidger, Foster, Li and Lyons, NeurIPS 2021, section 5.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def on_step(self, run: Run) -> None:
        """Clamp the weights."""
        with torch.no_grad():
            for layer in self.module.modules():
                if isinstance(layer, nn.Linear):
                    bound = 1 / layer.in_features
                    layer.weight.clamp_(-bound, bound)


@packable
@dataclass(frozen=True)
class CDECritic:
    """A critic and the generator move in turns: mean score of real minus of simulated paths.

    Args:
        n_steps: training steps of the generator.
        batch_size: paths per step.
        lr: of Adam for the generator, constant, with weights averaged.
        critic_lr: of Adam for the critic.
        width: of the critic's hidden state.
        decay: of the moving average of the generator's weights.
        clip: largest norm of a gradient.
        substeps: solver steps per base step of the observations.
        signature_depth: add the distance of expected signatures of this depth to the generator's
            objective, as published; None leaves it out.
        shared_batch: take the neighbours of a step also as its targets, as published; it rewards
            copies, and is here for comparison only.

    References:
        Min, Hu and Ichiba, Directed Chain Generative Adversarial Networks, ICML 2023.
    """

    n_steps: int = 2000
    batch_size: int = 128
    lr: float = 1e-3
    critic_lr: float = 2e-3
    width: int = 16
    decay: float = 0.999
    clip: float = 10.0
    substeps: int = 1
    signature_depth: int | None = None
    shared_batch: bool = False

    def train(self, chain: Chain, seed: int, callbacks: Sequence[Callback] = ()) -> Report:
        """Train the chain against a critic."""
        seed_batches, seed_paths, seed_critic = spawn(seed, 3)
        simulator = PathSimulator(chain, seed_paths, shared=self.shared_batch)
        augment = time_augmented(simulator.real, simulator.ts)
        critic = Critic(chain.sde.dim + 1, self.width, seed_critic).to(chain.paths.device)

        def judge(batch: Tensor, step: int) -> Loss:
            with torch.no_grad():
                fake, _ = simulator(batch, step)
            real = simulator.real[batch]
            gap = critic(augment(real)).mean() - critic(augment(fake)).mean()
            return Loss(-gap, {"gap": gap.detach()})

        def generate(batch: Tensor, step: int) -> Loss:
            paths, penalty = simulator(batch, step)
            fake = augment(paths)
            loss = penalty - critic(fake).mean()
            if self.signature_depth is not None:
                real = augment(simulator.real[batch])
                loss = loss + expected_signature_distance(
                    from_zero(fake), from_zero(real), self.signature_depth
                )
            return Loss(loss)

        adam = torch.optim.Adam
        betas = (0.0, 0.9)
        optimizations = [
            Optimization(
                "critic",
                critic,
                judge,
                adam(critic.parameters(), self.critic_lr, betas=betas),
                draws=False,
            ),
            Optimization(
                "generator",
                chain.sde,
                generate,
                adam(chain.sde.parameters(), self.lr, betas=betas),
                clip=self.clip,
                draws=False,
            ),
        ]
        batches = Batches(len(simulator.real), self.batch_size, seed_batches)
        hooks = [LipschitzBound(critic), WeightAverage(chain.sde, self.decay), *callbacks]
        return train(optimizations, batches, self.n_steps, callbacks=hooks)
