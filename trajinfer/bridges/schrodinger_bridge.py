"""The estimator: trajectories and dynamics from population snapshots."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.accepted_data import SNAPSHOTS
from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array, require_integer, require_positive
from trajinfer._core.devices import Device, require_cpu
from trajinfer._core.errors import ExtrapolationWarning, InputError
from trajinfer._core.seeding import RandomState, seed_from, spawn
from trajinfer._core.threads import torch_threads
from trajinfer.bridges import format_1
from trajinfer.bridges.backends import Backend, check_backend, choose_backend
from trajinfer.bridges.cell_couplings import AtomBridge
from trajinfer.bridges.cell_set_verbs import CellSetVerbs
from trajinfer.bridges.coupling_rules import coupling_rule
from trajinfer.bridges.deconvolution import noise_by_coordinate, without_noise
from trajinfer.bridges.drift_bridge import DriftBridge
from trajinfer.bridges.finite_clouds import fit_corrected
from trajinfer.bridges.fitting import alternate
from trajinfer.bridges.growing_fit import fit_growing
from trajinfer.bridges.growth import GrowthSetting, check_growth
from trajinfer.bridges.hidden_coordinates import HiddenCoordinates
from trajinfer.bridges.kept_rounds import n_refinements_in
from trajinfer.bridges.learned_drifts import with_learned_drift
from trajinfer.bridges.mixture_bridge import MixtureBridge
from trajinfer.data import Trajectories
from trajinfer.processes import simulate
from trajinfer.processes.base import require_savable
from trajinfer.references.dynamics import Reference
from trajinfer.references.reference import LEARN, prepare_reference
from trajinfer.sde import SDELike


@dataclass(eq=False, repr=False)
class SchrodingerBridge(HiddenCoordinates, CellSetVerbs):
    r"""Paths through population snapshots, and the dynamics that explain them.

    Among all path laws P whose marginals at the observation times are the snapshots, and all
    parameters theta of a reference $dX = b_\theta(X)\,dt + \sigma\,dW$, find

    $\min_{P, \theta} \mathrm{KL}(P \,\|\, Q_\theta)$

    by alternating couplings of neighbouring snapshots (entropic optimal transport under the
    reference's transition density) with refinements of the reference (maximum likelihood of the
    coupling). Transition laws are exact for affine drifts, linear-noise approximations elsewhere;
    in one dimension, where the drift bends within the noise of a segment, they are integrated.

    Args:
        reference: an Ito SDE; one with learnable parameters is refined (a copy: the object given
            is not changed). None is Brownian motion.
        volatility: overrides the reference's own: a positive number, one per dimension (D,), or a
            callable. "learn" fits it by the static likelihood and corrects it for the number of
            points (`bridges.finite_clouds`), "likelihood" leaves that out. None keeps the
            reference's, and where it has none sets 0.3 x mean sd within a snapshot / root of the
            mean segment length (per dimension in unlike units).
        n_refinements: bound on the rounds of refinement; 0 keeps the reference fixed.
        backend: "exact" (affine drift, constant noise), "linear_noise", or "auto", which takes the
            exact one where it applies. "mixture": Gaussian-mixture potentials, for many points.
            "ipf": forward and backward drift in random features, by iterative proportional
            fitting. "matching": a network regressed on the drift of the bridge.
        growth: net rate of divisions of the individuals. None: every snapshot has the same mass.
            "counts": the same rate everywhere, from the numbers of points of the snapshots (or the
            sums of their weights), which are then population sizes. "learn": a smooth rate g(x)
            that makes movement and growth least and explains these sizes. A function
            (t, x (n, D)) -> (n,) per unit of time: a known rate; the sizes then say nothing.
        measurement_noise: standard deviation of the error with which points were measured, one
            number or one per coordinate (D,), in their units; None takes them as they are. Every
            snapshot is freed of it (`bridges.deconvolution`), and all answers but `score` are about
            positions, not measurements.
        observed: places, among the coordinates of the reference, of those that the columns of the
            snapshots are, in the order of the columns or by column name, such as [0, 1] of three;
            None: all are measured. The others are inferred: drawn states have D coordinates, in
            which those not measured are called hidden_<place>.
        n_particles: number of paths or points drawn where n is not given.
        max_samples: bound on the points of a snapshot that enter the couplings; None bounds their
            memory. Time per coupling sweep is O(sum N_k N_{k+1}).
        tol: relative fall of the objective in one round, and change of the parameters in natural
            units, below which refinement stops.
        checkpoint: folder in which the work is kept as it is done: a fit that was killed goes on
            from there when it is called again; see docs/scale.md.
        random_state: seed of the draws; sampling calls can override it.
        device: None, "cpu" or "auto": all is computed in double precision on the CPU.
        verbose: 1 shows a progress bar.
        n_jobs: threads used while fitting; None leaves torch's setting.

    Attributes:
        reference_: the refined reference.
        bridge_: the path law.
        atoms_: per snapshot the rows that enter the couplings.
        n_iter_: rounds of refinement.
        seed_: of all draws.
        parameters_: its parameters by name.
        volatility_: (D,) numbers, or a callable.
        objective_history_: objective of every round, which never rises, until a volatility that
            was learned is corrected; see `history_`.
        history_: one record per round: objective, marginal error, parameters, seconds.
        converged_: whether couplings meet their marginals (L1 error <= 1e-6) and refinement rests.
        snapshots_: the data, without noise of measurement where it is known.
        measured_: the data as they were given where they hold noise; else None.
        left_open_: names of parameters that snapshots with hidden coordinates do not settle.

    References:
        Shen, Berlinghieri, Broderick, arXiv 2408.06277.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = np.concatenate([rng.normal(m, 1.0, (50, 2)) for m in (0.0, 1.0, 2.0)])
        >>> t = np.repeat([0, 1, 2], 50)
        >>> bridge = SchrodingerBridge(random_state=0).fit(X, t)
        >>> bridge.sample(10, ts=[0, 0.5, 1, 2])
        Trajectories(10 paths, 4 times, dim 2)
    """

    accepts = SNAPSHOTS

    reference: SDELike | None = None
    _: KW_ONLY
    volatility: Any = None
    n_refinements: int = 30
    backend: Backend = "auto"
    growth: GrowthSetting = None
    measurement_noise: Any = None
    observed: Any = None
    n_particles: int = 1000
    max_samples: int | None = None
    tol: float = 1e-3
    checkpoint: str | Path | None = None
    random_state: RandomState = None
    device: Device = None
    verbose: int = 0
    n_jobs: int | None = None

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        time: str | None = None,
        features: Sequence[str] | None = None,
    ) -> Self:
        """Fit paths and dynamics.

        Args:
            X: `Snapshots`; (N, D) points with times in y; a DataFrame or AnnData with times.
            y: (N,) observation time of every row: numbers, datetimes or durations.
            sample_weight: (N,) non-negative, normalised within every time.
            time: name of the time column of a DataFrame or AnnData ("time" if not given).
            features: columns of a DataFrame that are coordinates; None takes all that hold numbers.

        Raises:
            InputError: for data or settings that cannot be used, before any work.
        """
        self._check_settings()
        measured = self._read_snapshots(X, y, sample_weight, time, features)
        if len(measured) < 2:
            raise InputError(
                f"at least two snapshots are needed, got {len(measured)} (n_samples = "
                f"{measured.n_points}); trajectories lead from one time to another"
            )
        noise = noise_by_coordinate(self.measurement_noise, measured.dim)
        seed = once("seed", seed_from, self.random_state)
        seed_thin, seed_paths, _ = spawn(seed, 3)
        snapshots = without_noise(measured, noise, seed_thin)
        if self.observed is not None:
            return self._fit_observed(measured, snapshots, seed, (seed_thin, seed_paths))
        sde = prepare_reference(self.reference, self.volatility, snapshots)
        choice = choose_backend(
            self.backend, self.max_samples, sde, snapshots, mass_changes=self.growth is not None
        )
        rule, self.atoms_ = coupling_rule(choice, snapshots, seed_thin)
        reference = Reference(sde, linear_noise=self.backend == "linear_noise")
        run = partial(alternate, self.tol, seed_paths, self.n_refinements, verbose=self.verbose)
        fit = partial(run, reference)
        if isinstance(self.volatility, str) and self.volatility == LEARN:
            fit = partial(fit_corrected, run, reference, seed_thin)
        with torch_threads(self.n_jobs):
            result = fit_growing(self.growth, fit, rule, reference, snapshots, seed_thin)
            bridge = with_learned_drift(choice, result.bridge, seed_paths)
        if n_refinements_in(result.history):
            reference.keep_values()
        self.bridge_ = bridge
        self._keep_snapshots(snapshots)
        self.measured_ = None if snapshots is measured else measured
        self.backend_ = choice.name
        result.history[0] |= {"seed": seed, "backend": choice.name, "reason": choice.reason}
        self._conclude(
            seed=seed,
            n_iter=n_refinements_in(result.history),
            converged=result.converged and bridge.shortfall is None,
            history=result.history,
            reason=self._what_is_open(),
        )
        return self

    def sample(
        self,
        n: int | None = None,
        ts: Any = None,
        *,
        random_state: RandomState = None,
        out: str | Path | None = None,
    ) -> Trajectories | Path:
        """Draw paths through all snapshots.

        Args:
            n: number of paths; None takes `n_particles`.
            ts: (T,) times within the range of the snapshots in any order, or one time; None takes
                those of the snapshots.
            random_state: None uses the estimator's.
            out: folder to write tables to (`Trajectories.to_frame` without `weight`, in parquet),
                10 000 paths at a time, each with a seed of its own; a call that was killed goes on.

        Returns:
            The paths; the folder where there is an `out`. Where mass changes, they are paths of
            individuals alive at the first time, each followed along one of its descendants;
            `branches` (n, T) is their expected number, and `weights` (n, T) is proportional to it,
            so that weighted paths have the law of the population at every time.

        Raises:
            InputError: for times outside the range.
        """
        self._check_fitted()
        if out is not None:
            return self._written(out, self.sample, ts, n, random_state)
        order = self._ascending(self.snapshots_.labels if ts is None else ts)
        times, rank = order.times[0], order.rank[0]
        self._require_inside(times)
        generator = self._generator(random_state, "sample")
        values, branches = self.bridge_.draw_branching(times, self._count(n), generator)
        found = None if branches is None else branches[:, rank]
        return self._trajectories(times[rank], values[:, rank], found)

    def marginal(self, t: Any, n: int | None = None, *, random_state: RandomState = None) -> Array:
        """Draw positions (n, D) of the population at time t.

        After the last snapshot they are a `forecast`; before the first one the first snapshot is
        taken as it is. Both say so in an `ExtrapolationWarning`.
        """
        self._check_fitted()
        time = self._time(t)
        (first, last), named = self.snapshots_.times[[0, -1]], self.snapshots_.axis.named
        generator = self._generator(random_state, f"marginal {time!r}")
        count = self._count(n)
        if time < first:
            warnings.warn(
                f"time {named(time)} lies before the first snapshot ({named(first)}), which is "
                "taken unchanged",
                ExtrapolationWarning,
                stacklevel=2,
            )
            return self.bridge_.draw(np.array([first]), count, generator)[:, 0]
        if time > last:
            warnings.warn(
                f"time {named(time)} lies after the last snapshot ({named(last)}); forecast by the "
                "refined reference",
                ExtrapolationWarning,
                stacklevel=2,
            )
            return self._forecast(np.array([time]), count, generator)[:, 0]
        return self.bridge_.draw(np.array([time]), count, generator)[:, 0]

    def forecast(
        self,
        ts: Any,
        n: int | None = None,
        *,
        random_state: RandomState = None,
        out: str | Path | None = None,
    ) -> Trajectories | Path:
        """Paths beyond the last snapshot: the refined reference, started at its points.

        Args:
            ts: (T,) times in any order, or one time, none before the last snapshot.
            n, random_state, out: as for `sample`.

        Raises:
            InputError: for times before the last snapshot.
            SolverError: if the refined reference explodes.
        """
        self._check_fitted()
        if out is not None:
            return self._written(out, self.forecast, ts, n, random_state)
        order = self._ascending(ts)
        times, rank = order.times[0], order.rank[0]
        last, named = self.snapshots_.times[-1], self.snapshots_.axis.named
        if times[0] < last:
            raise InputError(
                f"a forecast starts at the last snapshot ({named(last)}), got {named(times[0])}; "
                "use sample for times in between"
            )
        generator = self._generator(random_state, "forecast")
        values = self._forecast(times, self._count(n), generator)
        return self._trajectories(times[rank], values[:, rank])

    def predict(
        self, X: Any, t0: Any = None, ts: Any = None, *, out: str | Path | None = None
    ) -> Array | Path:
        """Mean positions at ts of individuals that stand at X at time t0.

        Args:
            X: (n, D) positions.
            t0: their time; None takes the first snapshot's.
            ts: (T,) times, or one time, none before t0; None takes the last snapshot's. Beyond the
                last snapshot the means are those of the refined reference.
            out: folder to write tables to (id, which is a row's number or its name in a table, time
                and position, in parquet), 10 000 individuals at a time; a killed call goes on.

        Returns:
            (n, T, D), the times in the order asked; the folder where there is an `out`.
        """
        return self._predicted(X, t0, ts, out)

    def velocity(self, X: Any, t: Any) -> Array:
        """Drift (n, D) of the fitted path law at positions X (n, D) and time t.

        At and after the last snapshot it is the drift of the refined reference.

        Raises:
            InputError: for a time before the first snapshot.
        """
        self._check_fitted()
        points = torch.as_tensor(self._states(X))
        time = self._time(t)
        if time < self.snapshots_.times[0]:
            named = self.snapshots_.axis.named(time)
            raise InputError(f"time {named} lies before the first snapshot; nothing is known there")
        with torch.no_grad():
            return self.bridge_.velocity(time, points).numpy()

    def _settings_to_save(self) -> dict[str, Any]:
        for sde in (self._valid_setting("reference"), self.reference_):
            if sde is not None:
                require_savable(sde)
        return super()._settings_to_save()

    @classmethod
    def _from_format_1(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self:
        estimator = cls(**format_1.settings_of(config, tensors))
        for name, value in format_1.fitted_of(config, tensors).items():
            setattr(estimator, name, value)
        return estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.non_deterministic = False
        return tags

    def _check_settings(self) -> None:
        check_backend(self.backend)
        check_growth(self.growth)
        require_cpu(self.device, "a bridge is algebra in double precision on the CPU")
        require_integer(self.n_refinements, "n_refinements", least=0)
        require_integer(self.n_particles, "n_particles", least=1)
        require_positive(self.tol, "tol")

    def _check_fitted(self) -> None:
        check_is_fitted(self, "bridge_")

    def _on_atoms(self) -> tuple[AtomBridge, list[Array]]:
        """Couplings between points, and which points these are."""
        if isinstance(self.bridge_, MixtureBridge):
            return self.bridge_.on_atoms
        if isinstance(self.bridge_, DriftBridge):
            return self.bridge_.base, self.atoms_
        return self.bridge_, self.atoms_

    def _what_is_open(self) -> str:
        """Why the fit has not converged."""
        if self.bridge_.shortfall is not None:
            return self.bridge_.shortfall
        return f"the refinement was still moving after n_refinements={self.n_refinements} rounds"

    def _forecast(self, times: Array, n: int, generator: torch.Generator) -> Array:
        start = self._last_states(n, generator)
        ahead = times[times > self.snapshots_.times[-1]]
        pieces = [start.unsqueeze(1).expand(-1, len(times) - len(ahead), -1).numpy()]
        if len(ahead):
            ts, index = np.unique(ahead, return_inverse=True)
            grid = np.concatenate([self.snapshots_.times[-1:], ts])
            paths = simulate(self.reference_, start, grid, n, generator)
            pieces.append(paths.values[:, 1:][:, index])
        return np.concatenate(pieces, axis=1)
