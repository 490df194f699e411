r"""Covariates on rates: $\log F_{ij}(x) = \log F_{ij} + \beta_{ij} \cdot (x - \bar x)$."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array, as_array, require_finite
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.packing import packable
from trajinfer.data.jump_series import JumpSeries
from trajinfer.markov.rates import with_diagonal

Link = tuple[Hashable, Hashable]


@packable
@dataclass(frozen=True, eq=False)
class CovariateEffects:
    """How covariates act on the rates.

    Attributes:
        names: of the P covariates.
        mean: (P,) covariates at which the reported rates hold.
        coefficients: (P, S, S) logarithms of rate ratios per unit; 0 where there is no effect.
    """

    names: tuple[str, ...]
    mean: Array
    coefficients: Array

    def rates(self, reference: Array, x: Array) -> Array:
        """(R, S, S) rates at covariates (R, P), from those at the mean."""
        logs = np.einsum("rp,pij->rij", x - self.mean, self.coefficients)
        return with_diagonal(
            np.where(np.eye(len(reference), dtype=bool), 0.0, reference) * np.exp(logs)
        )

    def values(self, x: Any) -> Array:
        """(P,) covariates from a mapping by name or a sequence in their order.

        Raises:
            InputError: for unknown, missing or infinite ones.
        """
        if isinstance(x, Mapping):
            unknown = [name for name in x if name not in self.names]
            missing = [name for name in self.names if name not in x]
            if unknown or missing:
                raise InputError(
                    f"x must give {', '.join(self.names)}; "
                    + (nearest(str(unknown[0]), self.names) if unknown else f"no {missing[0]!r}")
                )
            x = [x[name] for name in self.names]
        vector = as_array(x, "x", ndim=1)
        require_finite(vector, "x")
        if len(vector) != len(self.names):
            raise InputError(f"x must be {len(self.names)} numbers: {', '.join(self.names)}")
        return vector

    def regimes(self, series: JumpSeries) -> tuple[Array, Array]:
        """Distinct covariates (R, P) of a series, and which of them each entry (N,) has."""
        return distinct_rows(covariates_of(series, self.names))


@dataclass(frozen=True, eq=False)
class CovariateDesign:
    """Covariates of the data, standardised, and which effect acts where.

    Attributes:
        names: of the P covariates.
        mean, scale: (P,) of the entries that begin an interval.
        z: (R, P) distinct standardised covariates.
        regime: (N,) row of `z` of every entry.
        owner: (P, L) number of the effect of a covariate on a link, -1 for none.
        spread: (K,) largest distance of standardised values that an effect sees.
    """

    names: tuple[str, ...]
    mean: Array
    scale: Array
    z: Array
    regime: Array
    owner: Array
    spread: Array

    @property
    def n_effects(self) -> int:
        """K."""
        return len(self.spread)

    @classmethod
    def of(
        cls,
        series: JumpSeries,
        begins: Array,
        states: tuple[Hashable, ...],
        links: Array,
        wanted: Any,
        equal_effects: Sequence[Sequence[Link]] | None,
    ) -> CovariateDesign:
        """The design.

        Args:
            series: with covariates.
            begins: entries at which an interval begins.
            states: the S labels.
            links: (S, S) bool.
            wanted: "all", names, or a mapping from links (pairs of labels) to names.
            equal_effects: lists of links on which every covariate has one effect in common.

        Raises:
            InputError: for unknown names or links, or a covariate that is constant.
        """
        by_link = _by_link(series, states, links, wanted)
        names = tuple(n for n in series.covariate_names if any(n in v for v in by_link.values()))
        if not names:
            raise InputError("covariates= names no covariate; leave it out for rates without any")
        x, regime = distinct_rows(covariates_of(series, names))
        at = x[regime[begins]]
        mean, scale = at.mean(axis=0), at.std(axis=0)
        constant = scale <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
        if constant.any():
            raise InputError(
                f"covariate {names[int(np.argmax(constant))]!r} has one value only, so nothing is "
                "known of its effect; leave it out"
            )
        places = [(int(i), int(j)) for i, j in np.argwhere(links)]
        group = _groups(places, states, equal_effects)
        owner = np.full((len(names), len(places)), -1)
        numbers: dict[tuple[int, int], int] = {}
        for k, name in enumerate(names):
            for column, link in enumerate(places):
                if name in by_link.get(link, ()):
                    owner[k, column] = numbers.setdefault((k, group[link]), len(numbers))
        z = (x - mean) / scale
        width = z[regime[begins]].max(axis=0) - z[regime[begins]].min(axis=0)
        spread = np.array([width[k] for k, _ in numbers])
        return cls(names, mean, scale, z, regime, owner, spread)

    def of_phases(self, owner: Array, links: Array, expanded: Array) -> CovariateDesign:
        """The design where states consist of phases.

        An effect on a link acts from every phase of its state alike; moves from one phase to the
        next have none.

        Args:
            owner: (P,) the state of each phase.
            links: (S, S) bool, links between states.
            expanded: (P, P) bool, links between phases.
        """
        column = np.full(links.shape, -1)
        column[links] = np.arange(int(links.sum()))
        start, end = np.nonzero(expanded)
        plain = column[owner[start], owner[end]]
        return replace(self, owner=np.where(plain >= 0, self.owner[:, plain], -1))


def covariates_of(series: JumpSeries, names: Sequence[str]) -> Array:
    """(N, P) covariates of every entry, by name.

    Raises:
        InputError: if the series lack one.
    """
    for name in names:
        if name not in series.covariate_names:
            raise InputError(
                f"the series have no covariate {name!r}; {nearest(name, series.covariate_names)}, "
                "or name its column in JumpSeries.from_frame(..., covariates=[...])"
            )
    columns = [series.covariate_names.index(name) for name in names]
    values = series.flat_covariates
    return np.zeros((series.layout.size, 0)) if values is None else np.asarray(values[:, columns])


def distinct_rows(x: Array) -> tuple[Array, Array]:
    """Distinct rows (R, P) of a matrix (N, P), and the row that each is (N,)."""
    rows, index = np.unique(x, axis=0, return_inverse=True)
    return rows, np.asarray(index).ravel()


def _by_link(
    series: JumpSeries, states: tuple[Hashable, ...], links: Array, wanted: Any
) -> dict[tuple[int, int], tuple[str, ...]]:
    everywhere = [(int(i), int(j)) for i, j in np.argwhere(links)]
    if isinstance(wanted, str) and wanted == "all":
        return dict.fromkeys(everywhere, tuple(series.covariate_names))
    if not isinstance(wanted, Mapping):
        names = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        covariates_of(series, names)
        return dict.fromkeys(everywhere, names)
    out = {}
    for link, names in wanted.items():
        chosen = (names,) if isinstance(names, str) else tuple(names)
        covariates_of(series, chosen)
        out[_code_of(link, states, links)] = chosen
    return out


def _code_of(link: Any, states: tuple[Hashable, ...], links: Array) -> tuple[int, int]:
    if not isinstance(link, tuple) or len(link) != 2 or not set(link) <= set(states):
        raise InputError(f"a link is a pair of labels out of {states[:8]}, got {link!r}")
    i, j = states.index(link[0]), states.index(link[1])
    if not links[i, j]:
        raise InputError(
            f"there is no link from {link[0]!r} to {link[1]!r} for covariates to act on"
        )
    return i, j


def _groups(
    places: list[tuple[int, int]],
    states: tuple[Hashable, ...],
    equal_effects: Sequence[Sequence[Link]] | None,
) -> dict[tuple[int, int], int]:
    group = {link: k for k, link in enumerate(places)}
    links = np.zeros((len(states), len(states)), dtype=bool)
    links[tuple(np.array(places, dtype=int).reshape(-1, 2).T)] = True
    for equal in equal_effects or ():
        members = [_code_of(tuple(link), states, links) for link in equal]
        for link in members:
            group[link] = group[members[0]]
    return group
