"""What a bridge between snapshots knows of its reference: parameters, their errors, volatility."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, spawn
from trajinfer.bridges.coupling_rules import AnyBridge
from trajinfer.bridges.deconvolution import noise_by_coordinate
from trajinfer.bridges.finite_clouds import CORRECTED
from trajinfer.bridges.parameter_covariance import ParameterLaw
from trajinfer.bridges.snapshot_questions import SnapshotQuestions
from trajinfer.data import Snapshots
from trajinfer.data.written_draws import written_draws
from trajinfer.hidden import HiddenBridge
from trajinfer.processes import Process
from trajinfer.sde import SDELike


class SnapshotEstimator(SnapshotQuestions):
    """An estimator whose fit is a bridge.

    Attributes:
        measurement_noise: with which points were measured.
        bridge_: the path law.
        measured_: the data as they were given where they hold noise; else None.
    """

    remedy_outside = "use forecast for times after the last one"

    measurement_noise: Any
    bridge_: AnyBridge
    measured_: Snapshots | None = None
    n_iter_: int
    history_: list[dict[str, Any]]

    @property
    def reference_(self) -> SDELike:
        """The refined reference."""
        self._check_fitted()
        return self.bridge_.reference.sde

    @property
    def given_snapshots(self) -> Snapshots:
        """The data as they were given."""
        self._check_fitted()
        return self.snapshots_ if self.measured_ is None else self.measured_

    def measurements(
        self, t: Any, n: int | None = None, *, random_state: RandomState = None
    ) -> Array:
        """Draw what would be measured (n, D) of the population at time t.

        These are positions as `marginal` draws them, with the noise of measurement.

        Args:
            t: one time.
            n: number of draws; None takes `n_particles`.
            random_state: None uses the estimator's.
        """
        self._check_fitted()
        noise = noise_by_coordinate(self.measurement_noise, self.snapshots_.dim)
        where = error = random_state
        if random_state is not None:  # two draws of one seed would go together
            where, error = spawn(seed_from(random_state), 2)
        positions = self.marginal(t, n, random_state=where)
        if isinstance(self.bridge_, HiddenBridge):
            positions = positions[:, list(self.bridge_.coordinates.observed)]
        generator = self._generator(error, f"measurements {self._time(t)!r}")
        normal = torch.randn(positions.shape, generator=generator, dtype=torch.float64)
        return np.asarray(positions + noise * normal.numpy())

    @property
    def objective_history_(self) -> list[float]:
        """Objective of every round, until a volatility that was learned is corrected."""
        self._check_fitted()
        return [record["objective"] for record in self.history_ if record["kind"] != CORRECTED]

    @property
    def parameters_(self) -> dict[str, float | Array]:
        """Parameters of the refined reference by name."""
        self._check_fitted()
        return self.reference_.parameters_dict() if isinstance(self.reference_, Process) else {}

    @property
    def volatility_(self) -> Any:
        """Volatility of the refined reference: (D,) numbers or a callable."""
        self._check_fitted()
        if isinstance(self.reference_, Process):
            return self.reference_.volatility
        return self.reference_.g

    def parameter_errors(self) -> dict[str, float | Array]:
        """Standard errors of `parameters_`, for points of the snapshots drawn independently.

        The delta method (`bridges.parameter_covariance`): the limit of refits to resampled
        snapshots, without refits. A volatility that was given or set, growth, and the positions
        behind noisy measurements, count as known.

        Raises:
            InputError: if nothing was refined, more than fifty numbers, or what the snapshots do
                not settle; or for the backend "mixture".
        """
        return self._parameter_law().errors()

    def draw_references(self, n: int, *, random_state: RandomState = None) -> list[SDELike]:
        """References as plausible as the snapshots leave them: parameters drawn n times.

        Args:
            n: number of references.
            random_state: None uses the estimator's.

        Raises:
            InputError: as `parameter_errors`.
        """
        count = require_integer(n, "n", least=1)
        law = self._parameter_law()
        seed = spawn(self.seed_ if random_state is None else seed_from(random_state), 4)[3]
        return law.draw(count, np.random.default_rng(seed))

    def _parameter_law(self) -> ParameterLaw:
        self._check_fitted()
        if self.n_iter_ == 0:
            raise InputError(
                "nothing was refined, so that answers inherit no errors of a fit; leave parameters "
                "out of the reference to learn them, with n_refinements above 0"
            )
        return ParameterLaw.of(self.bridge_)

    @property
    def _law(self) -> AnyBridge:
        return self.bridge_

    def _expected(self, points: Array, start: float, times: Array) -> Array:
        with torch.no_grad():
            return self.bridge_.expected(torch.as_tensor(points), start, times)

    def _written(
        self, out: str | Path, draw: Callable[..., Any], ts: Any, n: int | None, seed: RandomState
    ) -> Path:
        own = seed_from(self._generator(seed, draw.__name__))
        return written_draws(out, self.bridge_, self._count(n), own, {"ts": ts}, draw)
