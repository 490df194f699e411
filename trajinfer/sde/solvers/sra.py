"""Stochastic Runge-Kutta methods of strong order 3/2 for additive noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from trajinfer.paths.brownian import Increments
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import (
    Size,
    Solver,
    Stage,
    Step,
    StepNoise,
    add_noise,
    combine,
    present,
    scaled_add,
    shifted,
)
from trajinfer.sde.solvers.error_sum import ErrorSum

Row = tuple[float, ...]


@dataclass(frozen=True)
class SRATableau:
    """Coefficients of an SRA method; c0 follows from A0.

    Attributes:
        A0: drift coefficients of the stages, row i has i entries.
        B0: noise coefficients of the stages, likewise.
        a: drift weights.
        c1: times of the diffusion evaluations.
        b1: weights of W.
        b2: weights of I10 / h.
    """

    A0: tuple[Row, ...]
    B0: tuple[Row, ...]
    a: Row
    c1: Row
    b1: Row
    b2: Row

    @cached_property
    def c0(self) -> Row:
        """Times of the drift evaluations."""
        return tuple(sum(row) for row in self.A0)

    @cached_property
    def nodes(self) -> Row:
        """The distinct times at which the diffusion is used."""
        used = [
            c
            for j, c in enumerate(self.c1)
            if self.b1[j] or self.b2[j] or any(len(r) > j and r[j] for r in self.B0)
        ]
        return tuple(sorted(set(used)))

    @cached_property
    def per_node(self) -> tuple[tuple[Row, ...], Row, Row]:
        """B0, b1 and b2 with the weights of stages that share a node summed."""
        rows = tuple(self._at_nodes(row) for row in self.B0)
        return rows, self._at_nodes(self.b1), self._at_nodes(self.b2)

    def _at_nodes(self, weights: Row) -> Row:
        return tuple(sum(w for w, c in zip(weights, self.c1) if c == node) for node in self.nodes)


class SRA(Solver):
    r"""Rößler's SRA family: for noise that does not depend on the state.

    $$H_i = Y_0 + h \sum_j A_{ij} f(t + c^0_j h, H_j)
          + \tfrac{I_{10}}{h} \sum_j B_{ij} g(t + c^1_j h)$$
    $$Y_1 = Y_0 + h \sum_i a_i f_i + \sum_i g_i (b^1_i W + b^2_i I_{10}/h),
          \quad I_{10}/h = W/2 + H.$$

    The diffusion is evaluated once per distinct time, and its value at the end of a step is the one
    at the start of the next.

    References:
        Rößler, SIAM J. Numer. Anal. 48(3), 2010, section 6.2. Rackauckas and Nie,
        arXiv 1804.04344 (SOSRA, SOSRA2).
    """

    calculus = ("ito", "stratonovich")
    noise = ("additive",)
    need = "WH"
    order = "3/2"
    estimates = ("embedded", "natural")
    tableau: ClassVar[SRATableau]

    def strong_order(self, problem: Problem) -> float:
        """3/2."""
        return 1.5

    def error_order(self) -> float:
        """1 for the natural estimate, which sees the drift, 3/2 for the embedded one."""
        return 1.0 if self.estimate == "natural" else 1.5

    def start(self, problem: Problem, t: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """The diffusion at the start."""
        return (problem.g(t, y),)

    def terms(self, noise: Increments, h: Tensor, root: Tensor) -> tuple[Tensor, ...]:
        """I10/h, the noise of every diffusion value, and, for an error estimate, its part of it."""
        w, area = present(noise)
        chi = torch.add(area, w, alpha=0.5)
        _, b1, b2 = self.tableau.per_node
        kicks = [combine((w, chi), pair) for pair in zip(b1, b2)]
        if self.estimate is not None:
            kicks.append(chi[:, None] * chi.new_tensor(b2)[:, None, None])
        return (chi, *kicks)

    def step(
        self,
        problem: Problem,
        t: Tensor,
        h: Size,
        y: Tensor,
        noise: StepNoise,
        carry: tuple[Tensor, ...],
    ) -> Step:
        """One step from (t, y) to t + h."""
        tab, (chi, *kicks) = self.tableau, noise.terms
        g = [carry[0] if c == 0.0 else problem.g(shifted(t, c, h), y) for c in tab.nodes]
        stages: list[Stage] = []
        for i, row in enumerate(tab.A0):
            x = y
            for weight, stage in zip(row, stages):
                x = scaled_add(x, h, stage.f, weight) if weight else x
            for weight, g_node in zip(tab.per_node[0][i], g):
                x = add_noise(problem, x, g_node, chi, weight) if weight else x
            time = shifted(t, tab.c0[i], h)
            stages.append(Stage(tab.a[i], time, x, problem.f(time, x)))
        y1 = y
        for stage in stages:
            y1 = scaled_add(y1, h, stage.f, stage.weight)
        for g_node, kick in zip(g, kicks):
            y1 = add_noise(problem, y1, g_node, kick)
        error = None
        if self.estimate is not None:
            drifts = [stage.f for stage in stages]
            error = ErrorSum(h, self._error_weights, drifts, g, kicks[-1])
        return Step(y1, (g[-1],), error, tuple(stages))

    @property
    def _error_weights(self) -> Row:
        """Drift weights of the error estimate."""
        weights = self.tableau.a
        if self.estimate == "natural":
            return (1.0,) * len(weights)
        return (weights[0] - 1.0, *weights[1:])


class SRA1(SRA):
    """Rößler's SRA1: two drift evaluations."""

    name = "sra1"
    tableau = SRATableau(
        A0=((), (3 / 4,)),
        B0=((), (3 / 2,)),
        a=(1 / 3, 2 / 3),
        c1=(1.0, 0.0),
        b1=(1.0, 0.0),
        b2=(-1.0, 1.0),
    )


class SRA3(SRA):
    """Rößler's SRA3: three drift evaluations, a smaller constant."""

    name = "sra3"
    tableau = SRATableau(
        A0=((), (1.0,), (1 / 4, 1 / 4)),
        B0=((), (0.0,), (1.0, 1 / 2)),
        a=(1 / 6, 1 / 6, 2 / 3),
        c1=(1.0, 0.0, 0.0),
        b1=(1.0, 0.0, 0.0),
        b2=(-1.0, 1.0, 0.0),
    )


class SOSRA(SRA):
    """Stability-optimised SRA; in float32 its large weights cost digits if g varies in time."""

    name = "sosra"
    tableau = SRATableau(
        A0=((), (0.6923962376159507,), (-3.1609142252828395, 4.1609142252828395)),
        B0=((), (1.3371632704399763,), (1.442371048468624, 1.8632741501139225)),
        a=(0.2889874966892885, 0.6859880440839937, 0.025024459226717772),
        c1=(0.0, 0.041248171110700504, 1.0),
        b1=(-16.792534242221663, 17.514995785380226, 0.27753845684143835),
        b2=(0.4237535769069274, 0.6010381474428539, -1.0247917243497813),
    )


class SOSRA2(SRA):
    """Stability-optimised SRA for stiff drifts, with all stages inside the step."""

    name = "sosra2"
    tableau = SRATableau(
        A0=((), (1.0,), (0.9511849235504364, 0.04881507644956362)),
        B0=((), (0.7686101171003622,), (0.43886792994934987, 0.7490415909204886)),
        a=(0.4999999999999998, -0.9683897375354181, 1.4683897375354185),
        c1=(0.0, 1.0, 1.0),
        b1=(0.0, 0.92438032145683, 0.07561967854316998),
        b2=(1.0, -0.8169981105823436, -0.18300188941765633),
    )
