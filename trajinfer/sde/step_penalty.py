"""Measures of single steps, and the penalty made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trajinfer.paths.step_grid import Array
from trajinfer.sde.accumulator import AcceptedStep
from trajinfer.sde.heuristics import Reduce, SolverRegularization
from trajinfer.sde.problem import Problem
from trajinfer.sde.scaled_errors import mean_squares

STIFF_STAGES = {"tsit5": (5, 6, 3.5068), "sosri2": (2, 3, 10.6), "sosra2": (1, 2, 5.3)}
"""Two drift stages at the same time, and the size of the stability region, by solver."""

_SHARE_OF_STIFFNESS = 0.1
_ROUNDINGS = 16


@dataclass(frozen=True)
class Measure:
    """Measure of a step: its error or its stiffness.

    Attributes:
        settings: what is asked for.
        solver: name of the solver that took the steps.
        rtol: relative tolerance.
        atol: absolute tolerance.
        shared: whether the batch shares its steps.
    """

    settings: SolverRegularization
    solver: str
    rtol: float
    atol: float
    shared: bool

    def raw(self, problem: Problem, steps: Sequence[AcceptedStep], errors: Tensor | None) -> Tensor:
        r"""E^2 and S of N steps, as far as wanted: (N, 1, 1 or 2), or (N, B, 1 or 2) by series."""
        terms = []
        if self.settings.wants_error and errors is not None:
            terms.append(self._squared_errors(steps, errors))
        if self.settings.wants_stiffness:
            terms.append(self._stiffness(problem, steps))
        columns = terms[0][..., None] if len(terms) == 1 else torch.stack(terms, dim=-1)
        return columns[:, None] if self.shared else columns

    def powers(self, raw: Tensor) -> dict[str, Tensor]:
        """E^p and S^p of what `raw` says of steps, by name."""
        columns, found, square = list(raw.unbind(-1)), {}, self.settings.power == 2
        if self.settings.wants_error:
            error = columns.pop(0)
            # the root has no slope at 0
            found["error"] = error if square else (error + 1e-12).sqrt()
        if self.settings.wants_stiffness:
            stiffness = columns.pop(0)
            found["stiffness"] = stiffness.square() if square else stiffness
        return found

    def _squared_errors(self, steps: Sequence[AcceptedStep], errors: Tensor) -> Tensor:
        """Mean squares of e / (atol + rtol |y|), (N,) over the batch, or (N, B) by series."""
        y = torch.stack([steps[0].y, *(taken.step.y for taken in steps)])
        numbers = torch.finfo(y.dtype)
        # below 16 units of rounding the estimate is rounding noise
        rtol = max(self.rtol, _ROUNDINGS * float(numbers.eps))
        atol = max(self.atol, float(numbers.tiny))
        return mean_squares(errors, y, rtol=rtol, atol=atol, shared=self.shared)

    def _stiffness(self, problem: Problem, steps: Sequence[AcceptedStep]) -> Tensor:
        """S of consecutive steps, (N,) over the batch, or (N, B) by series."""
        pairs = [_slope(problem, self.solver, taken) for taken in steps]
        dim = (1, 2) if self.shared else 2
        top, bottom = (
            torch.linalg.vector_norm(torch.stack(parts), dim=dim) for parts in zip(*pairs)
        )
        usable = (bottom > 0) & torch.isfinite(bottom) & torch.isfinite(top)
        return torch.where(usable, top, 0.0) / torch.where(usable, bottom, 1.0)

    @property
    def probes(self) -> bool:
        """Whether the stiffness costs one more evaluation per step."""
        return self.settings.wants_stiffness and self.solver not in STIFF_STAGES

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The penalty made of its terms."""
        if self.settings.kind != "error+stiffness":
            return next(iter(terms.values()))
        size = STIFF_STAGES[self.solver][2] if self.solver in STIFF_STAGES else 1.0
        return terms["error"] + _SHARE_OF_STIFFNESS / size * terms["stiffness"]


def _slope(problem: Problem, name: str, taken: AcceptedStep) -> tuple[Tensor, Tensor]:
    """A change of the drift, and the move in state that brings it about."""
    if name in STIFF_STAGES:
        a, b = (taken.step.stages[k] for k in STIFF_STAGES[name][:2])
        return b.f - a.f, b.y - a.y
    counts = problem.nfe_f, problem.nfe_g
    # expanded tensors carry no tangents: make them whole
    y, move = taken.y.contiguous(), (taken.step.y - taken.y).contiguous()
    change = torch.func.jvp(lambda x: problem.f(taken.t, x), (y,), (move,))[1]
    problem.nfe_f, problem.nfe_g = counts
    return change, move


@dataclass(frozen=True)
class StepPenalty:
    """Collects what all accepted steps say: the accumulator of the global penalty.

    Attributes:
        measure: how a step is judged.
    """

    measure: Measure

    def start(self, y: Tensor) -> Tensor:
        """No steps yet, (0, R, 1 or 2)."""
        kinds = int(self.measure.settings.wants_error) + self.measure.settings.wants_stiffness
        return y.new_zeros(0, 1 if self.measure.shared else y.shape[0], kinds)

    def update(
        self, total: Tensor, problem: Problem, steps: Sequence[AcceptedStep], errors: Tensor | None
    ) -> Tensor:
        """Some steps more."""
        return self.join(total, self.measure.raw(problem, steps, errors))

    def join(self, first: Tensor, second: Tensor) -> Tensor:
        """The steps of two neighbouring intervals."""
        return torch.cat([first, second]) if len(first) else second

    def finish(
        self, totals: Sequence[Tensor], times: Array
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The terms of the penalty, and E^p and S^p of all steps, (n_steps, R).

        Args:
            totals: of the intervals.
            times: ends of the steps, (n_steps + 1,) or (B, n_steps + 1).
        """
        raw = torch.cat(list(totals)) if len(totals) > 1 else totals[0]
        powers = self.measure.powers(raw)
        lengths = np.diff(np.atleast_2d(times)).T
        return aggregate(self.measure.settings, powers, lengths), powers


def aggregate(
    settings: SolverRegularization, values: dict[str, Tensor], lengths: Array
) -> dict[str, Tensor]:
    r"""The terms of the penalty from $E_j^p$ and $S_j^p$; steps of no length do not count.

    Args:
        settings: how to reduce over the steps.
        values: "error" and "stiffness" of the steps, (n_steps, R); terms are means over the R rows.
        lengths: $h_j$, (n_steps, R).
    """
    terms, taken = {}, (lengths > 0).astype(np.float64)
    if "error" in values:
        weights = taken if settings.reduce == "steps" else lengths
        terms["error"] = _reduced(values["error"], weights, taken, settings.reduce or "sum")
    if "stiffness" in values:
        terms["stiffness"] = _reduced(values["stiffness"], taken, taken, settings.reduce or "mean")
    return terms


def _reduced(values: Tensor, weights: Array, taken: Array, reduce: Reduce) -> Tensor:
    """The sum, mean or largest of the weighted values of the steps taken, then the mean over R."""
    if reduce in ("mean", "steps"):
        weights = weights / np.maximum(taken.sum(0), 1)
    weighted = values * torch.as_tensor(weights / values.shape[1]).to(values)
    return weighted.amax(0).sum() if reduce == "max" else weighted.sum()
