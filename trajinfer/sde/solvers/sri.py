"""Stochastic Runge-Kutta methods of strong order 3/2 for noise that commutes (Ito)."""

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
class SRITableau:
    """Coefficients of an SRI method with four stages; c0 and c1 follow from A0 and A1.

    Attributes:
        A0: drift coefficients of the drift stages, row i has i entries.
        A1: drift coefficients of the diffusion stages, likewise.
        B0: noise coefficients of the drift stages.
        B1: noise coefficients of the diffusion stages.
        a: drift weights.
        b1: weights of W.
        b2: weights of I11 / sqrt(h).
        b3: weights of I10 / h.
        b4: weights of I111 / h.
        delta: weight of the drift part in the natural error estimate.
    """

    A0: tuple[Row, ...]
    A1: tuple[Row, ...]
    B0: tuple[Row, ...]
    B1: tuple[Row, ...]
    a: Row
    b1: Row
    b2: Row
    b3: Row
    b4: Row
    delta: float = 1.0

    @cached_property
    def c0(self) -> Row:
        """Times of the drift evaluations."""
        return tuple(sum(row) for row in self.A0)

    @cached_property
    def c1(self) -> Row:
        """Times of the diffusion evaluations."""
        return tuple(sum(row) for row in self.A1)

    @cached_property
    def drift_stages(self) -> frozenset[int]:
        """The drift stages that something uses; the others are never evaluated."""
        later = (*self.A0, *self.A1)
        return frozenset(
            j
            for j, weight in enumerate(self.a)
            if weight or any(len(row) > j and row[j] for row in later)
        )


class SRI(Solver):
    r"""Rößler's SRI family: for scalar noise, or diagonal noise with g_i a function of y_i alone.

    $$H^0_i = Y_0 + h \sum_j A^0_{ij} f(t + c^0_j h, H^0_j)
          + \tfrac{I_{10}}{h} \sum_j B^0_{ij} g(t + c^1_j h, H^1_j)$$
    $$H^1_i = Y_0 + h \sum_j A^1_{ij} f(t + c^0_j h, H^0_j)
          + \sqrt h \sum_j B^1_{ij} g(t + c^1_j h, H^1_j)$$
    $$Y_1 = Y_0 + h \sum_i a_i f_i + \sum_i g_i \left(b^1_i W + b^2_i \tfrac{I_{11}}{\sqrt h}
          + b^3_i \tfrac{I_{10}}{h} + b^4_i \tfrac{I_{111}}{h}\right)$$

    Each f_i and g_i is evaluated once, and the noise that multiplies g_i is put together for a
    whole chunk of steps at a time.

    References:
        Rößler, SIAM J. Numer. Anal. 48(3), 2010, section 6.1. Rackauckas and Nie,
        arXiv 1804.04344 (SOSRI, SOSRI2).
    """

    noise = ("diagonal", "scalar")
    need = "WH"
    commuting = True
    order = "3/2"
    estimates = ("embedded", "natural")
    tableau: ClassVar[SRITableau]

    def strong_order(self, problem: Problem) -> float:
        """3/2."""
        return 1.5

    def error_order(self) -> float:
        """1 for the natural estimate, which sees the drift, 3/2 for the embedded one."""
        return 1.0 if self.estimate == "natural" else 1.5

    def terms(self, noise: Increments, h: Tensor, root: Tensor) -> tuple[Tensor, ...]:
        """I10/h, the noise of every g_i, and, for an error estimate, its part of that noise.

        Written in normal numbers z = W / sqrt(h), with 0 for steps of no length, so that nothing is
        ever divided by h.
        """
        tab, (w, area) = self.tableau, present(noise)
        z = torch.where(root > 0, w / torch.where(root > 0, root, 1.0), 0.0)
        square = z * z
        chi = torch.add(area, w, alpha=0.5)
        i11, i111 = root * (square - 1.0) * 0.5, w * (square - 3.0) * (1 / 6)
        weights = zip(tab.b1, tab.b2, tab.b3, tab.b4)
        kicks = [combine((w, i11, chi, i111), column) for column in weights]
        if self.estimate is not None:
            parts = [combine((chi, i111), pair) for pair in zip(tab.b3, tab.b4)]
            kicks.append(torch.stack(parts, dim=1))
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
        stages: dict[int, Stage] = {}
        g: list[Tensor] = []
        for i in range(4):
            x = self._drift_sum(h, y, tab.A1[i], stages)
            for weight, g_j in zip(tab.B1[i], g):
                x = self._shift(problem, x, g_j, noise.root, weight)
            z = self._drift_sum(h, y, tab.A0[i], stages) if i in tab.drift_stages else y
            for weight, g_j in zip(tab.B0[i], g):
                z = add_noise(problem, z, g_j, chi, weight) if weight else z
            if i == 0:
                f_0, g_0 = problem.f_and_g(t, y)
                stages[0] = Stage(tab.a[0], t, y, f_0, g_0)
                g.append(g_0)
                continue
            if i in tab.drift_stages:
                time = shifted(t, tab.c0[i], h)
                stages[i] = Stage(tab.a[i], time, z, problem.f(time, z))
            g.append(problem.g(shifted(t, tab.c1[i], h), x))
        y1 = self._drift_sum(h, y, tab.a, stages)
        for g_i, kick in zip(g, kicks[:4]):
            y1 = add_noise(problem, y1, g_i, kick)
        error = None
        if self.estimate is not None:
            drifts = [stage.f for stage in stages.values()]
            error = ErrorSum(h, self._error_weights, drifts, g, kicks[4])
        return Step(y1, (), error, tuple(stages.values()))

    @staticmethod
    def _drift_sum(h: Size, y: Tensor, row: Row, stages: dict[int, Stage]) -> Tensor:
        for j, weight in enumerate(row):
            if weight:
                y = scaled_add(y, h, stages[j].f, weight)
        return y

    @staticmethod
    def _shift(problem: Problem, y: Tensor, g: Tensor, root: Size, weight: float) -> Tensor:
        """The sum y + weight sqrt(h) g; a scalar noise has one column."""
        if not weight:
            return y
        return scaled_add(y, root, g if problem.noise_type == "diagonal" else g[..., 0], weight)

    @property
    def _error_weights(self) -> Row:
        """Drift weights of the error estimate, one per drift stage."""
        tab, used = self.tableau, sorted(self.tableau.drift_stages)
        if self.estimate == "natural":
            return (tab.delta,) * len(used)
        return tuple(tab.a[j] - (j == 0) for j in used)


_SRIW_B3, _SRIW_B4 = (2.0, -4 / 3, -2 / 3, 0.0), (-2.0, 5 / 3, -2 / 3, 1.0)


class SRIW1(SRI):
    """Rößler's SRIW1: two drift and four diffusion evaluations."""

    name = "sriw1"
    tableau = SRITableau(
        A0=((), (3 / 4,), (0.0, 0.0), (0.0, 0.0, 0.0)),
        # the published A1_43 multiplies the third drift stage, which is the first again
        A1=((), (1 / 4,), (1.0, 0.0), (1 / 4, 0.0, 0.0)),
        B0=((), (3 / 2,), (0.0, 0.0), (0.0, 0.0, 0.0)),
        B1=((), (1 / 2,), (-1.0, 0.0), (-5.0, 3.0, 1 / 2)),
        a=(1 / 3, 2 / 3, 0.0, 0.0),
        b1=(-1.0, 4 / 3, 2 / 3, 0.0),
        b2=(-1.0, 4 / 3, -1 / 3, 0.0),
        b3=_SRIW_B3,
        b4=_SRIW_B4,
        delta=1 / 6,
    )


class SRIW2(SRI):
    """Rößler's SRIW2: three drift and four diffusion evaluations."""

    name = "sriw2"
    tableau = SRITableau(
        A0=((), (1.0,), (1 / 4, 1 / 4), (0.0, 0.0, 0.0)),
        A1=((), (1 / 4,), (1.0, 0.0), (0.0, 0.0, 1 / 4)),
        B0=((), (0.0,), (1.0, 1 / 2), (0.0, 0.0, 0.0)),
        B1=((), (-1 / 2,), (1.0, 0.0), (2.0, -1.0, 1 / 2)),
        a=(1 / 6, 1 / 6, 2 / 3, 0.0),
        b1=(-1.0, 4 / 3, 2 / 3, 0.0),
        b2=(1.0, -4 / 3, 1 / 3, 0.0),
        b3=_SRIW_B3,
        b4=_SRIW_B4,
    )


class SOSRI(SRI):
    """Stability-optimised SRI; its stages leave the step, so f must be defined there."""

    name = "sosri"
    tableau = SRITableau(
        A0=(
            (),
            (-0.04199224421316468,),
            (2.842612915017106, -2.0527723684000727),
            (4.338237071435815, -2.8895936137439793, 2.3017575594644466),
        ),
        A1=(
            (),
            (0.26204282091330466,),
            (0.20903646383505375, -0.1502377115150361),
            (0.05836595312746999, 0.6149440396332373, 0.08535117634046772),
        ),
        B0=(
            (),
            (-0.21641093549612528,),
            (1.5336352863679572, 0.26066223492647056),
            (-1.0536037558179159, 1.7015284721089472, -0.20725685784180017),
        ),
        B1=(
            (),
            (-0.5119011827621657,),
            (2.67767339866713, -4.9395031322250995),
            (0.15580956238299215, 3.2361551006624674, -1.4223118283355949),
        ),
        a=(1.140099274172029, -0.6401334255743456, 0.4736296532772559, 0.026404498125060714),
        b1=(-1.8453464565104432, 2.688764531100726, -0.2523866501071323, 0.40896857551684956),
        b2=(0.4969658141589478, -0.5771202869753592, -0.12919702470322217, 0.2093514975196336),
        b3=(2.8453464565104425, -2.688764531100725, 0.2523866501071322, -0.40896857551684945),
        b4=(0.11522663875443433, -0.57877086147738, 0.2857851028163886, 0.17775911990655704),
    )


class SOSRI2(SRI):
    """Stability-optimised SRI for stiff drifts, with all stages inside the step."""

    name = "sosri2"
    tableau = SRITableau(
        A0=(
            (),
            (0.13804532298278663,),
            (0.5818361298250374, 0.4181638701749618),
            (0.4670018408674211, 0.8046204792187386, -0.27162232008616016),
        ),
        A1=(
            (),
            (0.45605532163856893,),
            (0.7555807846451692, 0.24441921535482677),
            (0.6981181143266059, 0.3453277086024727, -0.04344582292908241),
        ),
        B0=(
            (),
            (0.08852381537667678,),
            (1.0317752458971061, 0.4563552922077882),
            (1.73078280444124, -0.46089678470929774, -0.9637509618944188),
        ),
        B1=(
            (),
            (0.6753186815412179,),
            (-0.07452812525785148, -0.49783736486149366),
            (-0.5591906709928903, 0.022696571806569924, -0.8984927888368557),
        ),
        a=(-0.15036858140642623, 0.7545275856696072, 0.686995463807979, -0.2911544680711602),
        b1=(-0.45315689727309133, 0.8330937231303951, 0.3792843195533544, 0.24077885458934192),
        b2=(-0.4994383733810986, 0.9181786186154077, -0.25613778661003145, -0.16260245862427797),
        b3=(1.4531568972730915, -0.8330937231303933, -0.3792843195533583, -0.24077885458934023),
        b4=(-0.4976090683622265, 0.9148155835648892, -1.4102107084476505, 0.9930041932449877),
    )
