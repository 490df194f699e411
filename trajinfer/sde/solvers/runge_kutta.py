"""Embedded Runge-Kutta pairs for ordinary differential equations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import Size, Solver, Stage, Step, StepNoise, scaled_add, shifted
from trajinfer.sde.solvers.error_sum import ErrorSum

Row = tuple[float, ...]


@dataclass(frozen=True)
class RKTableau:
    """Coefficients of an explicit pair.

    Attributes:
        c: times of the stages.
        A: coefficients of the stages, row i has i entries; for a pair with `reuse` the last row
            holds the weights of the new state.
        weights: weights of the new state.
        error: weights of the error estimate.
        reuse: whether the last stage is the first of the next step.
    """

    c: Row
    A: tuple[Row, ...]
    weights: Row
    error: Row
    reuse: bool


class RungeKutta(Solver):
    r"""$Y_1 = Y_0 + h \sum_i b_i k_i$, $k_i = f(t + c_i h, Y_0 + h \sum_j A_{ij} k_j)$."""

    noise = ("none",)
    need = ""
    estimates = ("embedded",)
    tableau: ClassVar[RKTableau]
    ode_order: ClassVar[float]

    def strong_order(self, problem: Problem) -> float:
        """Order of the pair."""
        return self.ode_order

    def error_order(self) -> float:
        """Order of the lower member of the pair, plus one."""
        return self.ode_order

    def start(self, problem: Problem, t: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """The drift at the start, where the last stage of a step is reused."""
        return (problem.f(t, y),) if self.tableau.reuse else ()

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
        tab = self.tableau
        stages: list[Stage] = []
        for i, row in enumerate(tab.A):
            x, time = _drift_sum(h, y, row, stages), shifted(t, tab.c[i], h)
            f = carry[0] if i == 0 and carry else problem.f(time, x)
            stages.append(Stage(tab.weights[i], time, x, f))
        y1 = stages[-1].y if tab.reuse else _drift_sum(h, y, tab.weights, stages)
        error = None
        if self.estimate is not None:
            error = ErrorSum(h, tab.error, [stage.f for stage in stages])
        return Step(y1, (stages[-1].f,) if tab.reuse else (), error, tuple(stages))


def _drift_sum(h: Size, y: Tensor, row: Row, stages: list[Stage]) -> Tensor:
    for weight, stage in zip(row, stages):
        if weight:
            y = scaled_add(y, h, stage.f, weight)
    return y


class Tsit5(RungeKutta):
    """Tsitouras' pair of orders 5 and 4: six evaluations per step.

    References:
        Tsitouras, Computers and Mathematics with Applications 62(2), 2011.
    """

    name = "tsit5"
    order = "5"
    ode_order = 5.0
    tableau = RKTableau(
        c=(0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0),
        A=(
            (),
            (0.161,),
            (-0.00848065549235699, 0.335480655492357),
            (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
            (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
            (
                5.86145544294642,
                -12.92096931784711,
                8.159367898576159,
                -0.071584973281401,
                -0.02826905039406838,
            ),
            (
                0.09646076681806523,
                0.01,
                0.4798896504144996,
                1.379008574103742,
                -3.290069515436081,
                2.324710524099774,
            ),
        ),
        weights=(
            0.09646076681806523,
            0.01,
            0.4798896504144996,
            1.379008574103742,
            -3.290069515436081,
            2.324710524099774,
            0.0,
        ),
        error=(
            0.00178001105222578,
            0.00081643445965675,
            -0.00788087801026199,
            0.1447110071732629,
            -0.5823571654525552,
            0.45808210592918686,
            -0.01515151515151515,
        ),
        reuse=True,
    )


class BogackiShampine(RungeKutta):
    """The pair of Bogacki and Shampine, orders 3 and 2: three evaluations per step."""

    name = "bosh3"
    order = "3"
    ode_order = 3.0
    tableau = RKTableau(
        c=(0.0, 1 / 2, 3 / 4, 1.0),
        A=((), (1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)),
        weights=(2 / 9, 1 / 3, 4 / 9, 0.0),
        error=(-5 / 72, 1 / 12, 1 / 9, -1 / 8),
        reuse=True,
    )


class HeunODE(RungeKutta):
    """Heun's method for ODEs, orders 2 and 1."""

    name = "heun_ode"
    order = "2"
    ode_order = 2.0
    tableau = RKTableau(
        c=(0.0, 1.0),
        A=((), (1.0,)),
        weights=(1 / 2, 1 / 2),
        error=(-1 / 2, 1 / 2),
        reuse=False,
    )
