"""The estimator: densities of points, by a denoiser."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted, validate_data

from trajinfer._core.accepted_data import AcceptedData
from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array, as_array, require_finite, require_integer
from trajinfer._core.devices import Device, device_of
from trajinfer._core.errors import InputError
from trajinfer._core.estimator import Estimator
from trajinfer._core.seeding import RandomState, Seeds, seed_from
from trajinfer.data.scaling import Standardisation, is_constant
from trajinfer.data.written_draws import written_draws
from trajinfer.diffusion.condition import Conditioned
from trajinfer.diffusion.observation import LinearObservation, Reward
from trajinfer.diffusion.plan_search import search_plan
from trajinfer.diffusion.plans import SolverPlan
from trajinfer.diffusion.samplers import Method, require_sampler
from trajinfer.generation.unlisted_setting import UnlistedSetting
from trajinfer.scores.correction import Learned, learn_correction
from trajinfer.scores.density_model import DensityModel, denoised_draws
from trajinfer.scores.mixture_choice import choose_mixture, levels_for
from trajinfer.scores.networks import PointNetwork
from trajinfer.scores.point_examples import PointExamples, PointLaw, random_mask
from trajinfer.scores.settings import require_settings, schedule_of
from trajinfer.scores.transform import LogTransform

Model = Literal["network", "mixture"]

_TRANSFORM: Any = UnlistedSetting(None)
_FEWEST = 10
_MOST_HELD_OUT = 1000
_MASKS = 3


@dataclass(eq=False, repr=False)
class ScoreDensity(Estimator):
    r"""The law of points: draws, log-densities, missing coordinates, answers to observations.

    A mixture of Gaussians, with as many parts as held-out points ask for, is the law in closed
    form. With `model="network"` a network moves its denoiser,
    $D(y, \rho) = m(y, \rho) + s(\rho) F(y, \rho)$, so that it learns only what the mixture does not
    hold. Training ends when the held-out loss, every noise level counting alike, gets no better,
    or when draws come nearer to the training points than held-out points do; where the network
    does not help, it is left out. Half of the batches know a random set of coordinates, so that
    missing ones can be drawn.

    Args:
        model: "network" or "mixture".
        transform: "log" models the logarithms of positive data.
        n_components: parts of the mixture, "auto" by held-out log-density.
        hidden: width of the network.
        layers: its residual layers.
        n_evaluations: evaluations of the denoiser per draw.
        method: of the sampler, see `trajinfer.scores.sample`.
        churn: noise of the sampler; with 0 it is an ODE. It forgets errors of a learned score.
        max_epochs: bound on the passes over the points.
        batch_size, lr: of the training.
        patience: validations, 100 steps apart, without a better one before training stops.
        validation: share of the points that are held out.
        checkpoint: folder in which the work is kept as it is done: a fit that was killed goes on
            from there when it is called again; see docs/scale.md.
        random_state: seed; sampling calls can override it.
        device: None or "cpu"; "auto", "cuda" and the like, where the network is trained and asked.
            The law in closed form beside it is algebra in double precision on the CPU.
        verbose: 1 shows a bar, 2 logs.

    Attributes:
        model_: the fitted law.
        losses_: held-out loss by level over that of the mixture, {"rho": (L,), "loss": (L,)}; empty
            without a network.
        memorisation_: median distance of draws to the nearest training point over that of held-out
            points: 1 for honest draws, 0 for copies; NaN without a network.
        plan_: of the sampler, after `search`; else None.
        n_features_in_, feature_names_in_, n_iter_, converged_, history_, seed_: as everywhere.

    References:
        Song et al., arXiv 2011.13456; Karras et al., arXiv 2206.00364.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(200, 2))
        >>> density = ScoreDensity("mixture", random_state=0).fit(X)
        >>> density.sample(3).shape, density.impute([[0.5, np.nan]], n=5).shape
        ((3, 2), (5, 1, 2))
    """

    accepts = AcceptedData("array")

    model: Model = "network"
    _: KW_ONLY
    transform: Literal["log"] | None = _TRANSFORM
    n_components: int | Literal["auto"] = "auto"
    hidden: int = 64
    layers: int = 3
    n_evaluations: int = 20
    method: Method = "multistep"
    churn: float = 0.0
    max_epochs: int = 400
    batch_size: int = 128
    lr: float = 1e-3
    patience: int = 5
    validation: float = 0.15
    checkpoint: str | Path | None = None
    random_state: RandomState = None
    device: Device = None
    verbose: int = 0

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the law of points.

        Args:
            X: points (N, D), at least ten, all coordinates known.
            y: ignored.

        Raises:
            InputError: for settings or points that cannot be used, before any work.

        Warns:
            UserWarning: for fewer than two points per coordinate.
        """
        self._check_settings()
        names = getattr(X, "columns", None)
        validate_data(self, X, skip_check_array=True)
        points = self._read(X, names)
        transform = LogTransform() if self._transform == "log" else None
        data = points if transform is None else transform.apply(points, names)
        seed = once("seed", seed_from, self.random_state)
        seeds = Seeds.of(seed)
        scaling = Standardisation.of(data)
        rows, held = _split(scaling.apply(data), self.validation, seeds.split)
        unseen = self.model == "network"
        mixture = once(
            "mixture", choose_mixture, rows, held, self.n_components, seeds.weights, unseen
        )
        levels, n = levels_for(mixture), len(points)
        model = DensityModel(mixture, None, levels, scaling, transform, None, n, seeds.draws)
        learned = None
        if self.model == "network":
            network, learned = self._learn(PointLaw(mixture, None, levels), rows, held, seeds)
            model = replace(model, network=network if learned.helps else None)
        self._keep(model, learned, seed)
        return self

    def _learn(
        self, law: PointLaw, rows: Array, held: Array, seeds: Seeds
    ) -> tuple[PointNetwork, Learned]:
        sizes = rows.shape[1], int(self.hidden), int(self.layers)
        network = PointNetwork(*sizes, seeds.weights).to(device_of(self.device))
        law = replace(law, network=network)
        held_rows = torch.as_tensor(held[:_MOST_HELD_OUT])
        generator = torch.Generator().manual_seed(seeds.split % 2**63)
        masks = [random_mask(rows.shape[1], generator) for _ in range(_MASKS)]
        masks[0][:] = False
        learned = learn_correction(
            network,
            PointExamples(law, torch.as_tensor(rows)),
            len(rows),
            [(law.given(mask, held_rows), held_rows) for mask in masks],
            law.levels,
            lambda n: denoised_draws(law.whole(), n, n_evaluations=10, random_state=0).numpy(),
            (rows, held[:_MOST_HELD_OUT]),
            schedule_of(self),
            seeds,
        )
        return network, learned

    def _keep(self, model: DensityModel, learned: Learned | None, seed: int) -> None:
        self.model_ = model
        self.losses_: dict[str, Array] = {}
        self.memorisation_ = float("nan")
        if learned is None:
            self._conclude(seed=seed, n_iter=0, converged=True, history=[])
            return
        self.losses_ = {"rho": learned.rhos, "loss": learned.by_level}
        self.memorisation_ = learned.memorisation
        self._conclude(
            seed=seed,
            n_iter=learned.report.history[-1]["epoch"],
            converged=learned.report.n_skipped == 0,
            history=learned.report.history,
        )

    def sample(
        self,
        n: int | None = None,
        *,
        random_state: RandomState = None,
        out: str | Path | None = None,
    ) -> Array | Path:
        """Draw points.

        Args:
            n: their number; None draws as many as were fitted.
            random_state: None uses the estimator's.
            out: folder to write tables to (a column per feature, in parquet), 10 000 points at a
                time, each with a seed of its own; a call that was killed goes on.

        Returns:
            (n, D); the folder where there is an `out`.
        """
        check_is_fitted(self)
        n = self.model_.n_points if n is None else require_integer(n, "n", least=1)
        seed = self._seed(random_state)
        settings = tuple(map(self._valid_setting, ("n_evaluations", "method", "churn")))
        if out is None:
            return self.model_.sample(n, seed, *settings)
        return written_draws(
            out, self.model_, n, seed, {}, self._table, settings={"sampler": settings}
        )

    def _table(self, n: int, random_state: RandomState) -> pd.DataFrame:
        default = [f"x{k}" for k in range(self.n_features_in_)]
        names = getattr(self, "feature_names_in_", default)
        return pd.DataFrame(self.sample(n, random_state=random_state), columns=list(names))

    def score_samples(self, X: Any) -> Array:
        """Log-density of points, nats, (N,): exact for a mixture, else by the probability flow."""
        check_is_fitted(self)
        return self.model_.log_density(self._asked(X))

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-density of points whose coordinates are measured in training deviations."""
        points = self.score_samples(X)
        return float(points.mean() + np.log(self.model_.scaling.scale).sum())

    def impute(self, X: Any, n: int = 100, *, random_state: RandomState = None) -> Array:
        """Draw the missing coordinates of points.

        Args:
            X: (N, D), NaN where not known.
            n: draws.
            random_state: None uses the estimator's.

        Returns:
            (n, N, D); known coordinates are kept.
        """
        check_is_fitted(self)
        require_integer(n, "n", least=1)
        points = self._asked(X, missing=True)
        seed = self._seed(random_state)
        settings = map(self._valid_setting, ("n_evaluations", "churn"))
        return self.model_.impute(points, n, seed, *settings)

    def sample_given(
        self,
        observation: LinearObservation | Reward,
        n: int = 1000,
        *,
        method: Literal["smc", "guidance"] = "smc",
        random_state: RandomState = None,
    ) -> Conditioned:
        """Weighted draws given an observation of points, or tilted by a reward; see `condition`.

        Args:
            observation: in the unit of the data. With `transform="log"` a reward.
            n: particles.
            method: "smc" (weighted), or "guidance" (biased).
            random_state: None uses the estimator's.

        Raises:
            InputError: for an observation of another width.
            NotConverged: if the particles collapse.
        """
        check_is_fitted(self)
        require_integer(n, "n", least=2)
        return self.model_.given(observation, n, self._seed(random_state), method)

    def search(self, n_evaluations: int, *, random_state: RandomState = None) -> Self:
        """Search a plan of the sampler for a number of evaluations; later draws use it.

        Args:
            n_evaluations: of the denoiser per draw.
            random_state: None uses the estimator's.

        Raises:
            InputError: where draws need no sampler: for a mixture.
        """
        check_is_fitted(self)
        model = self.model_
        if model.network is None:
            raise InputError("draws of a mixture are exact and take no evaluation: nothing to plan")
        plan = search_plan(
            model.law.whole(),
            n_evaluations,
            levels=model.levels,
            random_state=self._seed(random_state),
        )
        self.model_ = replace(model, plan=plan)
        return self

    @property
    def plan_(self) -> SolverPlan | None:
        """Plan of the sampler, where one was searched."""
        check_is_fitted(self)
        return self.model_.plan

    @property
    def denoiser_(self) -> Any:
        """Denoiser of standardised points, for the functions of `trajinfer.scores`."""
        check_is_fitted(self)
        return self.model_.mixture if self.model_.network is None else self.model_.law.whole()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The settings by name."""
        return {name: vars(self)[name] for name in self._get_param_names()}

    @property
    def _transform(self) -> Literal["log"] | None:
        """The setting `transform`, which is no attribute: it is no verb either."""
        setting: Literal["log"] | None = vars(self)["transform"]
        return setting

    def _seed(self, random_state: RandomState) -> int:
        return self.model_.seed if random_state is None else seed_from(random_state)

    def _read(self, X: Any, names: Any) -> Array:
        points = as_array(X, "X", ndim=2)
        if not points.shape[1]:
            raise InputError(
                f"0 feature(s) (shape={points.shape}) while a minimum of 1 is required: a point "
                "needs a coordinate"
            )
        require_finite(points, "X")
        if len(points) < _FEWEST:
            raise InputError(
                f"a density cannot be learned from n_samples={len(points)} points, at least "
                f"{_FEWEST} are needed"
            )
        constant = np.flatnonzero(is_constant(points))
        if len(constant):
            name = int(constant[0]) if names is None else names[constant[0]]
            raise InputError(
                f"column {name!r} is constant (sd 0): drop it or add it after sampling"
            )
        return points

    def _asked(self, X: Any, *, missing: bool = False) -> Array:
        validate_data(self, X, skip_check_array=True, reset=False)
        points = as_array(X, "X", ndim=2)
        if not missing:
            require_finite(points, "X")
        elif np.isinf(points).any():
            raise InputError("X must not be infinite; NaN marks coordinates that are not known")
        return points

    def _check_settings(self) -> None:
        require_settings(self)
        require_sampler(self.method, self.n_evaluations, churn=self.churn)
        if self._transform not in (None, "log"):
            raise InputError(f"transform must be None or 'log', got {self._transform!r}")


def _split(rows: Array, share: float, seed: int) -> tuple[Array, Array]:
    """Training and held-out rows."""
    order = np.random.default_rng(seed).permutation(len(rows))
    n_held = max(2, round(share * len(rows)))
    return rows[order[n_held:]], rows[order[:n_held]]
