"""What `fit` and `evaluate` have in common: data, a split, an estimator, and its Python call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trajinfer._core.errors import InputError
from trajinfer.bridges import SchrodingerBridge
from trajinfer.cli.console import say
from trajinfer.cli.settings import build, parse_value, to_script
from trajinfer.cli.tables import Data, Source, parse_times
from trajinfer.data import Snapshots


@dataclass(frozen=True)
class Split:
    """Snapshots to learn from, and those that are kept aside.

    Attributes:
        train: to learn from.
        held_out: kept aside, None for none.
        labels: times kept aside.
    """

    train: Snapshots
    held_out: Snapshots | None
    labels: tuple[Any, ...]


def source_of(path: Path, time: str, features: str, weight: str | None, use_rep: str) -> Source:
    """The file and the columns a user named."""
    names = tuple(name.strip() for name in features.split(",") if name.strip())
    return Source(path, time, names, weight, use_rep)


def options_of(
    reference: str | None,
    volatility: str | None,
    seed: int | None,
    jobs: int | None,
    device: str | None,
) -> dict[str, Any]:
    """Command-line options as settings; None for those not given."""
    return {
        "reference.name": reference,
        "volatility": None if volatility is None else parse_value(volatility),
        "random_state": seed,
        "n_jobs": jobs,
        "device": device,
    }


def split_of(data: Data, hold_out: Sequence[str], *, quiet: bool = False) -> Split:
    """Keep the named times aside, or those that the file itself marks.

    Raises:
        InputError: for a time without a snapshot, or if fewer than two snapshots are left.
    """
    snapshots = data.snapshots
    labels = parse_times(snapshots, list(hold_out))
    if not labels and data.split is not None:
        kept = [k for k, role in enumerate(data.split) if role != "train"]
        labels = list(np.asarray(snapshots.labels)[kept])
        if labels:
            say(f"held out, as the file says: {', '.join(map(str, labels))}", quiet=quiet)
    if not labels:
        return Split(snapshots, None, ())
    held_out = snapshots.select(labels)
    if len(snapshots) - len(held_out) < 2:
        raise InputError(
            f"holding out {len(held_out)} of {len(snapshots)} snapshots leaves fewer than two"
        )
    return Split(snapshots.drop(labels), held_out, tuple(labels))


def estimator_of(
    settings: Mapping[str, Any], snapshots: Snapshots, quiet: bool
) -> SchrodingerBridge:
    """The estimator, showing its progress unless asked to be quiet."""
    estimator = build(settings, snapshots.dim)
    estimator.set_params(verbose=0 if quiet else 1)
    return estimator


def script_of(data: Data, settings: Mapping[str, Any], labels: Sequence[Any]) -> list[str]:
    """Lines of Python up to an estimator `bridge` and the snapshots `train` and `held_out`."""
    process, call = to_script(settings, data.snapshots.dim)
    lines = ["from trajinfer import SchrodingerBridge, Snapshots, evaluation"]
    lines += [f"from trajinfer.processes import {process}"] if process else []
    lines += [*data.script, f"bridge = {call}"]
    if labels:
        times = ", ".join(_literal(label) for label in labels)
        lines += [f"train, held_out = data.drop([{times}]), data.select([{times}])"]
    return lines


def _literal(label: Any) -> str:
    if isinstance(label, (int, float, np.number)):
        return repr(float(label))
    return f"pd.{type(label).__name__}({str(label)!r})"
