"""The estimator: velocity and score between population snapshots, without simulation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.accepted_data import SNAPSHOTS
from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array, require_integer
from trajinfer._core.devices import Device
from trajinfer._core.errors import ExtrapolationWarning, InputError, nearest
from trajinfer._core.seeding import RandomState, Seeds, seed_from
from trajinfer.bridges.snapshot_questions import SnapshotQuestions
from trajinfer.data import Snapshots, Trajectories
from trajinfer.data.written_draws import written_draws
from trajinfer.diffusion.interpolant_path import InterpolantPath, NoiseShape, Shape
from trajinfer.scores.coupled_ends import Coupling
from trajinfer.scores.interpolant_fit import fit_interpolant, reference_volatility
from trajinfer.scores.interpolant_model import Way
from trajinfer.scores.settings import require_settings, schedule_of

_FEWEST = 3


@dataclass(eq=False, repr=False)
class StochasticInterpolant(SnapshotQuestions):
    r"""Paths through snapshots by a velocity and a score that are functions of place and time.

    Between neighbouring snapshots, $x_u = a(u) x_0 + b(u) x_1 + \gamma(u) z$ with ends drawn from
    a coupling and z standard normal. Regression gives $E[\dot x_u \mid x]$ and the score s, hence
    the velocity b of the population; for any e >= 0,
    $dx = (b + e s)\,du + \sqrt{2e}\,dW$ leads from one snapshot to the next. With the entropic
    coupling, the straight path and the noise of a bridge (the defaults) these are the paths of the
    Schroedinger bridge to Brownian motion. Nothing is simulated in order to fit. Through several
    snapshots paths are continuous, with kinks in their mean at the snapshots.

    In closed form the ends of every segment are jointly a mixture of Gaussians, with as many parts
    as make held-out pairs likeliest. With `model="network"` a network moves slope and score, so
    that it learns only what the mixture does not hold. Training ends when held-out pairs are met
    no better, every place between the snapshots counting alike; a network that does not help is
    left out. Name dynamics where you can: then `SchrodingerBridge` has more to say.

    Args:
        path: "straight", or "cosine", which keeps the spread of independent ends.
        coupling: "entropic"; "exact", optimal transport without noise (flow matching); or
            "independent".
        volatility: of the noise, per root of time, a positive number or (D,); None is set from the
            spread of the data as by `SchrodingerBridge`. Not with the exact coupling.
        noise: "bridge", that of a Brownian bridge, or "smooth", flat at the snapshots.
        model: "network", or "mixture", the closed form alone, which takes seconds.
        n_components: parts of the mixture, "auto" by held-out pairs.
        hidden: width of the network.
        layers: its residual layers.
        n_evaluations: of the velocity per segment.
        churn: noise of the paths in units of the volatility's: 1 follows the bridge, 0 the ODE.
        n_particles: number of paths or points drawn where n is not given.
        max_samples: bound on the points of a snapshot that are coupled.
        max_epochs, batch_size, lr, patience: of the training, see `ScoreDensity`.
        validation: share of the points of every snapshot that are held out.
        checkpoint: folder in which the work is kept as it is done: a fit that was killed goes on
            from there when it is called again; see docs/scale.md.
        random_state: seed; drawing verbs can override it.
        device: as of `ScoreDensity`.
        verbose: 1 shows a bar, 2 logs.

    Attributes:
        model_: the fitted laws.
        losses_: held-out loss by place within a segment over that of the closed form,
            {"u": (L,), "loss": (L,)}; empty without a network.
        volatility_: (D,).
        snapshots_: the data.
        n_features_in_, feature_names_in_, n_iter_, converged_, history_, seed_: as everywhere.

    References:
        Albergo, Boffi, Vanden-Eijnden, arXiv 2303.08797; Tong et al., arXiv 2307.03672.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = np.concatenate([rng.normal(m, 1.0, (50, 2)) for m in (0.0, 1.0, 2.0)])
        >>> t = np.repeat([0, 1, 2], 50)
        >>> interpolant = StochasticInterpolant(model="mixture", random_state=0).fit(X, t)
        >>> interpolant.sample(10, ts=[0, 0.5, 1, 2])
        Trajectories(10 paths, 4 times, dim 2)
    """

    accepts = SNAPSHOTS

    remedy_outside = "use marginal, which says that it extrapolates"

    path: Shape = "straight"
    _: KW_ONLY
    coupling: Coupling = "entropic"
    volatility: Any = None
    noise: NoiseShape = "bridge"
    model: Literal["network", "mixture"] = "network"
    n_components: int | Literal["auto"] = "auto"
    hidden: int = 64
    layers: int = 3
    n_evaluations: int = 20
    churn: float = 1.0
    n_particles: int = 1000
    max_samples: int = 2000
    max_epochs: int = 400
    batch_size: int = 256
    lr: float = 1e-3
    patience: int = 5
    validation: float = 0.15
    checkpoint: str | Path | None = None
    random_state: RandomState = None
    device: Device = None
    verbose: int = 0

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        time: str | None = None,
        features: Sequence[str] | None = None,
    ) -> Self:
        """Learn the laws between snapshots.

        Args:
            X: `Snapshots`; or (N, D) points with their times in y; or a DataFrame or AnnData with
                a time column. Two snapshots or more, of three points or more each.
            y: (N,) observation time of every row: numbers, datetimes or durations.
            sample_weight: (N,) non-negative, normalised within every time.
            time: name of the time column of a DataFrame or AnnData ("time" if not given).
            features: columns of a DataFrame that are coordinates; None takes all that hold numbers.

        Raises:
            InputError: for data or settings that cannot be used, before any work.
        """
        self._check_settings()
        snapshots = self._read_snapshots(X, y, sample_weight, time, features)
        _require_usable(snapshots)
        volatility = reference_volatility(self.coupling, self.volatility, snapshots)
        seed = once("seed", seed_from, self.random_state)
        fitted = fit_interpolant(
            snapshots,
            InterpolantPath(self.path, self.noise),
            self.coupling,
            volatility,
            self,
            schedule_of(self),
            Seeds.of(seed),
        )
        self.model_, self.volatility_ = fitted.model, volatility
        self.losses_: dict[str, Array] = fitted.losses
        self._keep_snapshots(snapshots)
        self._conclude(
            seed=seed,
            n_iter=fitted.history[-1]["epoch"] if fitted.history else 0,
            converged=fitted.converged,
            history=fitted.history,
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
                those of the snapshots. Paths start at points of the snapshot before the first one.
            random_state: None uses the estimator's.
            out: folder to write tables to (`Trajectories.to_frame`, in parquet), 10 000 paths at a
                time, each with a seed of its own; a call that was killed goes on.

        Returns:
            The paths; the folder where there is an `out`.

        Raises:
            InputError: for times outside the range.
        """
        self._check_fitted()
        if out is not None:
            seed, way = self._drawing_seed(random_state, "sample"), {"way": self._way()}
            question, count = {"ts": ts}, self._count(n)
            return written_draws(out, self.model_, count, seed, question, self.sample, settings=way)
        order = self._ascending(self.snapshots_.labels if ts is None else ts)
        times, rank = order.times[0], order.rank[0]
        self._require_inside(times)
        seed = self._drawing_seed(random_state, "sample")
        values = self.model_.paths(times, self._count(n), self._way(), seed)
        return self._trajectories(times[rank], values[:, rank])

    def marginal(self, t: Any, n: int | None = None, *, random_state: RandomState = None) -> Array:
        """Draw positions (n, D) of the population at time t.

        After the last snapshot they are its points with the noise of the reference; before the
        first one the first snapshot is taken as it is. Both say so in an `ExtrapolationWarning`.
        """
        self._check_fitted()
        time = self._time(t)
        (first, last), named = self.snapshots_.times[[0, -1]], self.snapshots_.axis.named
        if not first <= time <= last:
            warnings.warn(
                f"time {named(time)} lies outside the snapshots ({named(first)} to {named(last)}); "
                "the nearest one is taken, with the noise of the reference after the last",
                ExtrapolationWarning,
                stacklevel=2,
            )
        seed = self._drawing_seed(random_state, f"marginal {time!r}")
        return self.model_.marginal(time, self._count(n), self._way(), seed)

    def predict(
        self, X: Any, t0: Any = None, ts: Any = None, *, out: str | Path | None = None
    ) -> Array | Path:
        """Mean positions at ts of individuals that stand at X at time t0.

        Means over 100 paths, of the same noise for every individual; with `churn=0` one path.

        Args:
            X: (n, D) positions.
            t0: their time; None takes the first snapshot's.
            ts: (T,) times, or one time, none before t0; None takes the last snapshot's. After the
                last snapshot the means stay where they are.
            out: folder to write tables to (id, which is a row's number or its name in a table, time
                and position, in parquet), 10 000 individuals at a time; a killed call goes on.

        Returns:
            (n, T, D), the times in the order asked; the folder where there is an `out`.
        """
        return self._predicted(X, t0, ts, out, way=self._way() if out is not None else None)

    def velocity(self, X: Any, t: Any) -> Array:
        r"""Drift (n, D) of the paths at X (n, D) and time t: $b + e s$, with `churn=0` b itself.

        Raises:
            InputError: for a time outside the snapshots.
        """
        return self._field(X, t)[0]

    def score_function(self, X: Any, t: Any) -> Array:
        r"""The score $\nabla \log p_t$, (n, D), of the population at X (n, D) and time t.

        Raises:
            InputError: for a time outside the snapshots, or the exact coupling, which has no noise
                to learn a score by.
        """
        self._check_fitted()
        if self._valid_setting("coupling") == "exact":
            raise InputError(
                "with coupling='exact' no noise is mixed in, and no score is learned; use "
                "coupling='entropic'"
            )
        return self._field(X, t)[1]

    def score_samples(self, X: Any, t: Any = None) -> Array:
        r"""Log-density of the population at points X (n, D) and time t, nats, (n,).

        Exact for the law in closed form; with a network it is the law of the nearer snapshot,
        carried along the probability flow $\dot x = b$, one backward pass per coordinate and
        evaluation (above 64 coordinates by random probes).

        Args:
            X: (n, D) positions.
            t: the time; None takes the last snapshot's.

        Raises:
            InputError: for a time outside the snapshots.
        """
        self._check_fitted()
        points = self._points(X)
        time = float(self.snapshots_.times[-1]) if t is None else self._time(t)
        self._require_inside(np.array([time]))
        return self.model_.log_density(points, time)

    def _field(self, X: Any, t: Any) -> tuple[Array, Array]:
        self._check_fitted()
        points, time = self._points(X), self._time(t)
        self._require_inside(np.array([time]))
        return self.model_.velocity_and_score(points, time, self._valid_setting("churn"))

    def _way(self) -> Way:
        settings = self._valid_settings()
        return Way(int(settings["n_evaluations"]), float(settings["churn"]))

    def _drawing_seed(self, random_state: RandomState, purpose: str) -> int:
        return seed_from(self._generator(random_state, purpose))

    def _check_settings(self) -> None:
        require_settings(self)
        if self.coupling not in get_args(Coupling):
            raise InputError(
                f"no coupling {self.coupling!r}; {nearest(str(self.coupling), get_args(Coupling))}"
            )
        InterpolantPath(self.path, self.noise)
        if self.coupling == "exact" and self.volatility is not None:
            raise InputError(
                f"coupling='exact' has no noise, got volatility={self.volatility!r}: then the law "
                "is not the bridge's; use coupling='entropic', or leave volatility out"
            )
        require_integer(self.n_particles, "n_particles", least=1)
        require_integer(self.max_samples, "max_samples", least=2)

    def _check_fitted(self) -> None:
        check_is_fitted(self, "model_")

    @property
    def _law(self) -> Any:
        return self.model_

    def _expected(self, points: Array, start: float, times: Array) -> Array:
        return self.model_.expected(points, start, times, self._way())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.non_deterministic = False
        return tags


def _require_usable(snapshots: Snapshots) -> None:
    if len(snapshots) < 2:
        raise InputError(
            f"at least two snapshots are needed, got {len(snapshots)} (n_samples = "
            f"{snapshots.n_points}); trajectories lead from one time to another"
        )
    sizes = [np.count_nonzero(snapshots.probabilities(k)) for k in range(len(snapshots))]
    if min(sizes) < _FEWEST:
        raise InputError(
            f"the snapshot at time {snapshots.labels[int(np.argmin(sizes))]} has {min(sizes)} "
            f"points of positive weight, at least {_FEWEST} are needed to learn a law; drop it, or "
            "use SchrodingerBridge"
        )
