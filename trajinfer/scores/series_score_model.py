"""A fitted law of series as a value: it draws, goes on, fills in, scores and answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn
from trajinfer.data import IrregularSeries, TimeAxis
from trajinfer.data.scaling import Standardisation
from trajinfer.diffusion.condition import condition
from trajinfer.diffusion.likelihood import log_likelihood
from trajinfer.diffusion.observation import LinearObservation, Reward
from trajinfer.generation.schema import ChannelSchema
from trajinfer.scores.corrected import Corrected
from trajinfer.scores.density_model import denoised_draws
from trajinfer.scores.exact_support import ExactSupport
from trajinfer.scores.knot_law import KnotLaw
from trajinfer.scores.long_entries import drawn_along, is_long, log_density_along, surprise_along
from trajinfer.scores.seen import Seen, seen
from trajinfer.scores.series_examples import SeriesLaw
from trajinfer.scores.series_network import SeriesNetwork
from trajinfer.scores.sized_law import SizedLaw
from trajinfer.scores.surprise import Oddness

_PARTICLES_A_PATH, _FEWEST_PARTICLES = 4, 200


@dataclass(frozen=True, eq=False)
class Question:
    """Entries of one series: those observed, and those asked for.

    Attributes:
        entries: all of them.
        known: (n,) bool.
        places: (T, C) entry of every time and channel that is asked for.
    """

    entries: Seen
    known: Array
    places: Array

    @property
    def is_ahead(self) -> bool:
        """Whether all that is not known comes after what is."""
        times, known = self.entries.times, self.known
        return not known.any() or bool(times[~known].min(initial=np.inf) > times[known].max())

    @classmethod
    def of(cls, past: Seen, ts: Array, n_channels: int) -> Self:
        """The question at times ts (T,), rising, which may be times that are observed."""
        index = {(t, c): i for i, (t, c) in enumerate(zip(past.times, past.channels))}
        times, channels = list(past.times), list(past.channels)
        places = np.empty((len(ts), n_channels), dtype=int)
        for row, c in np.ndindex(places.shape):
            place = index.setdefault((ts[row], c), len(times))
            if place == len(times):
                times.append(ts[row])
                channels.append(c)
            places[row, c] = place
        values = np.zeros(len(times))
        values[: len(past.values)] = past.values
        known = np.arange(len(times)) < len(past.values)
        return cls(Seen(np.array(times), np.array(channels, dtype=int), values), known, places)


@packable
@dataclass(frozen=True)
class SeriesScoreModel:
    """A law of series of C channels.

    Attributes:
        knots: the law in closed form, of standardised channels.
        network: that moves it, or None.
        levels: (rho_max, rho_min) in standard deviations.
        schema: kinds of the channels.
        scaling: centre and scale of every channel as it is modelled.
        channels: their names.
        axis: of the times.
        grid: (T,) times that are drawn where none are asked for.
        n_series: number of training series.
        seed: of draws, unless another is given.
        exact: what holds exactly in every series, and so in draws; None where nothing is known.
    """

    knots: KnotLaw
    network: SeriesNetwork | None
    levels: tuple[float, float]
    schema: tuple[ChannelSchema, ...]
    scaling: Standardisation
    channels: tuple[str, ...]
    axis: TimeAxis
    grid: Array
    n_series: int
    seed: int
    exact: ExactSupport | None = None

    @property
    def law(self) -> SeriesLaw:
        """Of standardised series."""
        return SeriesLaw(self.knots, self.network, self.levels)

    @property
    def ties_times(self) -> bool:
        """Whether something holds exactly along a series, and not at each of its times alone."""
        return self.exact is not None and len(self.exact.grid) > 0

    def latent(self, values: Array) -> Array:
        """Values (..., C) as they are modelled."""
        return self.scaling.apply(
            np.stack([k.forward(values[..., c]) for c, k in enumerate(self.schema)], axis=-1)
        )

    def visible(self, latent: Array) -> Array:
        """Values (..., T, C) on the support of their channels; a static one is its first value."""
        z = self.scaling.invert(latent)
        for c, kind in enumerate(self.schema):
            if kind.kind == "static":
                z[..., c] = z[..., :1, c]
        return np.stack([k.inverse(z[..., c]) for c, k in enumerate(self.schema)], axis=-1)

    def pasts(self, series: IrregularSeries) -> list[Seen]:
        """What is observed of every series, standardised."""
        ends = np.cumsum(series.lengths)[:-1]
        times, latent = np.split(series.flat_times, ends), self.latent(series.flat_values)
        return [seen(t, z) for t, z in zip(times, np.split(latent, ends), strict=True)]

    def sample(self, n: int, ts: Array, seed: int, **settings: Any) -> Array:
        """Draw n series at rising times (T,), (n, T, C)."""
        nothing = Seen(np.empty(0), np.empty(0, dtype=int), np.empty(0))
        return self.draws(nothing, ts, n, seed, **settings)

    def draws(self, past: Seen, ts: Array, n: int, seed: int, **settings: Any) -> Array:
        """Draw n coherent paths at rising times (T,) given a past, (n, T, C)."""
        question = Question.of(past, ts, len(self.channels))
        entries = question.entries.values[None]
        if not question.known.all():
            sized = self._sized(len(question.known))
            if sized is not None and question.is_ahead:
                shares = self.knots.shares(question.entries.times, question.entries.channels)
                entries = sized.draws(*shares, question.known, entries[0], n, seed)
            elif self.network is None and is_long(len(question.known)):
                drawn = drawn_along(self.knots, past, question.entries[~question.known], n, seed)
                entries = np.repeat(entries, n, axis=0)
                entries[:, ~question.known] = drawn
            else:
                found = denoised_draws(self.given(question), n, random_state=seed, **settings)
                entries = np.where(question.known, entries, found.numpy())
        return self._shown(np.broadcast_to(entries, (n, entries.shape[1])), question, ts)

    def _sized(self, n: int) -> SizedLaw | None:
        """The law with sizes, where there is one and n entries are not too many for it."""
        return None if self.network is not None or is_long(n) else self.knots.sized

    def given(self, question: Question) -> Corrected:
        """The denoiser of the entries of a question."""
        entries = question.entries
        return self.law.given(
            entries.times,
            entries.channels,
            torch.as_tensor(question.known),
            torch.as_tensor(entries.values)[None],
        )

    def conditioned(
        self, past: Seen, ts: Array, asked: LinearObservation | Reward, n: int, seed: int
    ) -> Array:
        """Paths (n, T, C) given a past, and an observation or reward of their values (T C,)."""
        question = Question.of(past, ts, len(self.channels))
        given = self.given(question)
        found = condition(
            given,
            self._standard(asked, question),
            n_particles=max(_PARTICLES_A_PATH * n, _FEWEST_PARTICLES),
            levels=self.levels,
            random_state=seed,
        )
        drawn = found.sample(n, random_state=seed).numpy()
        entries = np.where(question.known, question.entries.values, drawn)
        return self._shown(entries, question, ts)

    def _shown(self, entries: Array, question: Question, ts: Array) -> Array:
        """Values (n, T, C) of entries (n, m), with what holds exactly in every series."""
        values = self.visible(entries[:, question.places])
        if self.exact is None:
            return values
        return self.exact.give_back(values, ts, ~question.known[question.places])

    def _standard(
        self, asked: LinearObservation | Reward, question: Question
    ) -> LinearObservation | Reward:
        """What is asked of values (T C,), asked of standardised entries."""
        flat = question.places.reshape(-1)
        channel = question.entries.channels[flat]
        center, scale = self.scaling.center[channel], self.scaling.scale[channel]
        if isinstance(asked, Reward):
            places, c, s = (torch.as_tensor(part) for part in (flat, center, scale))
            return Reward(lambda z: asked.function(z[:, places] * s + c), asked.strength)
        asked.require_width(len(flat))
        H = torch.zeros(asked.n, len(question.known), dtype=torch.float64)
        H.index_add_(1, torch.as_tensor(flat), asked.H * torch.as_tensor(scale))
        return LinearObservation(H, asked.y - asked.H @ torch.as_tensor(center), asked.R)

    def log_density(self, past: Seen) -> float:
        """Nats of the observed entries, as they are modelled, in the unit of the model.

        Nothing is certain to be observed where nothing is: 0.
        """
        if not len(past.values):
            return 0.0
        sized = self._sized(len(past.values))
        if sized is not None:
            shares = self.knots.shares(past.times, past.channels)
            found = sized.log_density(*shares, past.values)
        elif self.network is None:
            found = log_density_along(self.knots, past)
        else:
            values = torch.as_tensor(past.values)[None]
            denoiser = self.given(_nothing_known(past))
            found = float(log_likelihood(denoiser, values, levels=self.levels)[0])
        return found - float(np.log(self.scaling.scale[past.channels]).sum())

    def oddness(self, past: Seen) -> Oddness:
        """Of every entry (n,) given all others.

        Of the law in closed form, in standard units. The entry's normal score spreads as those of
        series that the law has not seen, `Tails`; the p-value is the chance of one further out.
        """
        found = surprise_along(self.knots, past)
        tails, z = self.knots.tails, found.normal_score
        return Oddness(-(found.log_density + tails.log_ratio(z)), tails.p_values(z))

    def log_slope(self, values: Array) -> Array:
        """(..., C) logarithm of how much the modelled value moves per unit of the value."""
        slopes = [kind.log_slope(values[..., c]) for c, kind in enumerate(self.schema)]
        return np.stack(slopes, axis=-1)

    def seeds(self, seed: int, n: int) -> Sequence[int]:
        """Seeds of n series, independent."""
        return spawn(seed, n)


def _nothing_known(past: Seen) -> Question:
    """The question of all entries of a past, as if none were known."""
    places = np.arange(len(past.values))[:, None]
    return Question(past, np.zeros(len(past.values), dtype=bool), places)
