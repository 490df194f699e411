"""`trajinfer classify`: the class of each of a set of irregular series."""

from __future__ import annotations

import time as clock
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from sklearn.model_selection import train_test_split

from trajinfer._core.errors import InputError
from trajinfer.cli import options, series
from trajinfer.cli.console import say, show_json, show_log
from trajinfer.cli.output import check_target, write_result
from trajinfer.cli.series import (
    Model,
    SeriesColumns,
    call_of,
    model_of,
    neural,
    read_series,
    settings_of,
)
from trajinfer.cli.settings import to_toml
from trajinfer.cli.tables import read_table
from trajinfer.data import IrregularSeries
from trajinfer.evaluation.series import MiniRocket

MODELS: dict[str, Model] = {**neural("NeuralSDEClassifier")}


def classify(  # noqa: PLR0913 (a command has as many arguments as it has options)
    data: series.SeriesFile,
    id: series.Id = "id",
    time: options.Time = "time",
    label: Annotated[str, typer.Option(help="Column of the class, constant along a series.")] = (
        "label"
    ),
    channels: series.Channels = "",
    variable: series.Variable = None,
    value: series.Value = None,
    statics: series.Statics = "",
    duplicates: series.Duplicates = "raise",
    model: Annotated[
        str | None, typer.Option(help=f"{', '.join(MODELS)}; the first if not given.")
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="A second table whose classes to predict.")
    ] = None,
    hold_out: Annotated[
        float, typer.Option(help="Share of the series kept aside, if there is no --test.")
    ] = 0.25,
    config: series.Settings = None,
    assignments: series.Set = None,
    seed: options.Seed = None,
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = Path("result"),
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Learn the class of irregular series and predict it for others."""
    show_log(verbose)
    columns = SeriesColumns(id, time, channels, variable, value, statics, label, duplicates)
    given, script = read_series(data, columns)
    train, unseen, parting = _parts(given, columns, test, hold_out, 0 if seed is None else seed)
    known = model_of(model, MODELS)
    settings = settings_of(known, model is not None, config, assignments, seed, {})
    if dry_run:
        lines = [
            f"from trajinfer import {known.estimator}",
            f"model = {call_of(known.estimator, settings)}.fit(train, train.labels)",
            "probabilities = model.predict_proba(unseen)",
        ]
        typer.echo("\n".join([*script, *parting, *lines]))
        return
    check_target(out)
    say(f"fitting {train} of {data}", quiet=quiet)
    started = clock.perf_counter()
    fitted = known.load()(**settings).fit(train, train.labels)
    table = _predictions(fitted, unseen)
    document: dict[str, Any] = {
        "command": "classify",
        "data": str(data),
        "model": known.estimator,
        "settings": settings,
        "classes": list(fitted.classes_),
        "n_train": len(train),
        "n_test": len(unseen),
        "accuracy": _accuracy(table),
        "accuracy_of_minirocket": None if unseen.labels is None else _beside(train, unseen),
        "seconds": clock.perf_counter() - started,
    }

    def fill(folder: Path) -> None:
        header = f"# of: trajinfer classify {data}; give it back with --config\n"
        text = header + to_toml(settings, known.estimator)
        (folder / "config.toml").write_text(text, encoding="utf-8")
        table.to_csv(folder / "predictions.csv", index=False)
        fitted.save(folder / "model")

    document = write_result(out, document, fill)
    show_json(document) if as_json else typer.echo(_text(document, out))


def _parts(
    given: IrregularSeries,
    columns: SeriesColumns,
    test: Path | None,
    hold_out: float,
    seed: int,
) -> tuple[IrregularSeries, IrregularSeries, list[str]]:
    """Series to learn from, series to predict, and the Python that parts them."""
    if given.labels is None or pd.isna(given.labels).any():
        raise InputError(f"some series have no '{columns.labels}'; leave them out, or into --test")
    if test is not None:
        unseen, script = read_series(test, _for_test(columns, test))
        return given, unseen.on_axis(given.axis), ["train = series", *script, "unseen = series"]
    if not 0 < hold_out < 1:
        raise InputError(f"--hold-out must lie between 0 and 1, got {hold_out}")
    try:
        rows, kept = train_test_split(
            np.arange(len(given)), test_size=hold_out, stratify=given.labels, random_state=seed
        )
    except ValueError as error:
        raise InputError(f"the series cannot be parted class by class: {error}") from error
    lines = [
        "from sklearn.model_selection import train_test_split",
        f"train, unseen = train_test_split(series, test_size={hold_out}, "
        f"stratify=series.labels, random_state={seed})",
    ]
    return given[rows], given[kept], lines


def _for_test(columns: SeriesColumns, test: Path) -> SeriesColumns:
    """The columns of the second table, which may lack the classes."""
    frame, _ = read_table(test)
    return columns if columns.labels in frame.columns else replace(columns, labels=None)


def _predictions(fitted: Any, unseen: IrregularSeries) -> pd.DataFrame:
    probabilities = fitted.predict_proba(unseen)
    table = pd.DataFrame({"id": list(unseen.ids)})
    if unseen.labels is not None:
        table["label"] = unseen.labels
    table["predicted"] = fitted.classes_[probabilities.argmax(axis=1)]
    for name, column in zip(fitted.classes_, probabilities.T, strict=True):
        table[f"p_{name}"] = column
    return table


def _accuracy(table: pd.DataFrame) -> float | None:
    if "label" not in table:
        return None
    return float((table["label"] == table["predicted"]).mean())


def _beside(train: IrregularSeries, unseen: IrregularSeries) -> float:
    rocket = MiniRocket(random_state=0).fit(train, train.labels)
    return float((rocket.predict(unseen) == unseen.labels).mean())


def _text(document: dict[str, Any], out: Path) -> str:
    lines = [
        f"{document['n_train']} series learned from in {document['seconds']:.1f} s, "
        f"{document['n_test']} predicted"
    ]
    if document["accuracy"] is not None:
        lines.append(
            f"accuracy {document['accuracy']:.3f} (MiniRocket "
            f"{document['accuracy_of_minirocket']:.3f})"
        )
    return "\n".join([*lines, f"written to {out}"])
