"""Fitting an interpolant: held-out points, couplings, closed forms, and the network."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array
from trajinfer._core.devices import Device, device_of
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import Seeds, spawn, torch_generator
from trajinfer.bridges.thinning import part_of
from trajinfer.data import Snapshots
from trajinfer.data.scaling import Standardisation
from trajinfer.diffusion.interpolant_mixture import MixtureInterpolant
from trajinfer.diffusion.interpolant_path import InterpolantPath
from trajinfer.diffusion.mixture import GaussianMixture
from trajinfer.references.reference import prepare_reference
from trajinfer.scores.correction import Schedule
from trajinfer.scores.coupled_ends import CoupledEnds, Coupling, couple_snapshots
from trajinfer.scores.interpolant_field import FieldNetwork
from trajinfer.scores.interpolant_learning import LearnedField, learn_field
from trajinfer.scores.interpolant_model import InterpolantModel
from trajinfer.scores.mixture_choice import choose_mixture

_LEAST_WIDTH = 1e-3  # in deviations of all points: a snapshot may be one point


class FitSettings(Protocol):
    """Settings of the estimator that the fit reads."""

    model: Any
    n_components: Any
    hidden: int
    layers: int
    max_samples: int
    validation: float
    device: Device


@dataclass(frozen=True)
class FittedInterpolant:
    """What came of a fit.

    Attributes:
        model: the laws.
        losses: held-out loss by place, empty without a network.
        history: of the training.
        converged: whether couplings came to rest and the training did not fail.
    """

    model: InterpolantModel
    losses: dict[str, Array]
    history: list[dict[str, Any]]
    converged: bool


def fit_interpolant(
    snapshots: Snapshots,
    path: InterpolantPath,
    coupling: Coupling,
    volatility: Array,
    settings: FitSettings,
    schedule: Schedule,
    seeds: Seeds,
) -> FittedInterpolant:
    """Fit the laws of all segments.

    Args:
        snapshots: the data.
        path: shares of the ends, shape of the noise.
        coupling: of neighbouring snapshots.
        volatility: (D,) in the unit of the data; zero with the exact coupling.
        settings: of the estimator.
        schedule: of the training.
        seeds: of the fit.
    """
    scaling = Standardisation.of(np.concatenate(snapshots.points))
    standard = _on(snapshots, scaling)
    rows, held = _split(part_of(standard, settings.max_samples, seeds.split), settings, seeds)
    own = volatility / scaling.scale
    parts = [once("coupling", couple_snapshots, part, coupling, own) for part in (rows, held)]
    (ends, at_rest), (held_ends, _) = parts
    own_by_root = [own * np.sqrt(duration) for duration in np.diff(snapshots.times)]
    mixtures = once("mixtures", _mixtures, ends, held_ends, settings.n_components, seeds.weights)
    laws = [
        MixtureInterpolant(mixture, volatility=noise, path=path)
        for mixture, noise in zip(mixtures, own_by_root, strict=True)
    ]
    model = InterpolantModel(
        np.asarray(snapshots.times),
        tuple(np.asarray(points) for points in standard.points),
        tuple(snapshots.probabilities(k) for k in range(len(snapshots))),
        tuple(laws),
        None,
        scaling,
        own,
        seeds.draws,
    )
    if settings.model == "mixture":
        return FittedInterpolant(model, {}, [], at_rest)
    sizes = snapshots.dim, int(settings.hidden), int(settings.layers)
    network = FieldNetwork(*sizes, seeds.weights).to(device_of(settings.device))
    learned = learn_field(network, model.fields(network), ends, held_ends, schedule, seeds)
    return _with_network(model, network, learned, at_rest)


def _with_network(
    model: InterpolantModel, network: FieldNetwork, learned: LearnedField, at_rest: bool
) -> FittedInterpolant:
    losses = {"u": learned.places, "loss": learned.by_place}
    report = learned.report
    model = replace(model, network=network if learned.helps else None)
    return FittedInterpolant(model, losses, report.history, at_rest and report.n_skipped == 0)


def reference_volatility(coupling: Coupling, volatility: Any, snapshots: Snapshots) -> Array:
    """Volatility (D,) of the noise: that given, or from the spread of the data.

    Raises:
        InputError: unless it is a positive number or one per coordinate.
    """
    if coupling == "exact":
        return np.zeros(snapshots.dim)
    if callable(volatility) or isinstance(volatility, str):
        raise InputError(
            f"volatility must be a positive number or ({snapshots.dim},) of them, got "
            f"{volatility!r}; SchrodingerBridge takes others"
        )
    reference: Any = prepare_reference(None, volatility, snapshots)
    return np.broadcast_to(np.asarray(reference.volatility, dtype=float), snapshots.dim).copy()


def _on(snapshots: Snapshots, scaling: Standardisation) -> Snapshots:
    points = tuple(scaling.apply(one) for one in snapshots.points)
    masses = tuple(snapshots.probabilities(k) for k in range(len(snapshots)))
    return Snapshots(snapshots.times, points, weights=masses)


def _split(
    snapshots: Snapshots, settings: FitSettings, seeds: Seeds
) -> tuple[Snapshots, Snapshots]:
    """Training and held-out points of every snapshot."""
    rows, held = [], []
    for k, seed in enumerate(spawn(seeds.split, len(snapshots))):
        counted = np.flatnonzero(snapshots.probabilities(k))
        order = np.random.default_rng(seed).permutation(counted)
        n_held = min(max(1, round(settings.validation * len(order))), len(order) - 2)
        held.append(np.sort(order[:n_held]))
        rows.append(np.sort(order[n_held:]))
    return snapshots.take(rows), snapshots.take(held)


def _mixtures(
    ends: Sequence[CoupledEnds], held: Sequence[CoupledEnds], n_components: Any, seed: int
) -> list[GaussianMixture]:
    """Of the pairs (x_0, x_1) of every segment."""
    seeds = spawn(seed, len(ends))
    return [
        _mixture(_drawn(one, own), _drawn(other, own), n_components, own)
        for one, other, own in zip(ends, held, seeds, strict=True)
    ]


def _mixture(pairs: Array, held: Array, n_components: Any, seed: int) -> GaussianMixture:
    """Fitted to middles and moves: few pairs then shrink to moves that do not depend on place."""
    eye = np.eye(pairs.shape[1] // 2)
    apart = np.block([[eye / 2, eye / 2], [-eye, eye]])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "[0-9]+ rows for", UserWarning)
        rows = pairs @ apart.T, held @ apart.T
        found = choose_mixture(*rows, n_components, seed, unseen=True)
    return found.affine(np.linalg.inv(apart))


def _drawn(ends: CoupledEnds, seed: int) -> Array:
    """As many pairs as the larger snapshot has points, (n, 2D), of no less than a least width."""
    generator = torch_generator(seed)
    pairs = torch.cat(ends.draw(ends.size, generator), 1)
    z = torch.randn(pairs.shape, generator=generator, dtype=pairs.dtype)
    return (pairs + _LEAST_WIDTH * z).numpy()
