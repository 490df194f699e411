"""`trajinfer classify`: the class of each of a set of irregular series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer._core.errors import InputError
from trajinfer.cli.command import command
from trajinfer.cli.options import Model as ModelName
from trajinfer.cli.options import call_of, renamed
from trajinfer.cli.output import Job, Result
from trajinfer.cli.series import Model, SeriesFile, Statics, model_of, neural
from trajinfer.cli.settings import SeededSettings, to_toml

if TYPE_CHECKING:
    import pandas as pd

    from trajinfer import IrregularSeries

MODELS: dict[str, Model] = {**neural("NeuralSDEClassifier")}


@command()
def classify(
    file: SeriesFile,
    settings: SeededSettings,
    label: Annotated[str, typer.Option(help="Column of the class, constant along a series.")] = (
        "label"
    ),
    statics: Statics = "",
    model: ModelName = None,
    test: Annotated[
        Path | None, typer.Option(help="A second table whose classes to predict.")
    ] = None,
    hold_out_share: Annotated[
        float, typer.Option(help="Share of the series kept aside, if there is no --test.")
    ] = 0.25,
    hold_out: Annotated[float | None, typer.Option(hidden=True)] = None,
) -> Job:
    """Learn the class of irregular series and predict it for others.

    Models: langevin, linear_noise, geometric, free, ode, cde, latent_sde, gru, ode_rnn.
    """
    share = renamed("--hold-out", hold_out, "--hold-out-share", hold_out_share)
    if not 0 < share < 1:
        raise InputError(f"--hold-out-share must lie between 0 and 1, got {share}")
    other = None if test is None else replace(file, data=test)
    if other is not None:
        other.check()
    known = model_of(model, MODELS)
    series, reading = file.read(labels=label, statics=statics)
    _require_labels(series, label)
    arguments = known.resolve(settings, named=model is not None)
    if other is None:
        train, unseen, parting = _parted(series, share, arguments.get("random_state", 0))
    else:
        train, unseen, parting = _beside(series, other, label, statics)
    script = [
        *reading,
        *parting,
        f"from trajinfer import {known.estimator}",
        f"model = {call_of(known.estimator, arguments)}.fit(train, train.labels)",
        "probabilities = model.predict_proba(unseen)",
    ]

    def work() -> Result:
        fitted = known.load()(**arguments).fit(train, train.labels)
        return _result(known, arguments, fitted, train, unseen)

    return Job(script, f"fitting {train} of {file.data}", work, to_toml(arguments, known.estimator))


def _require_labels(series: IrregularSeries, label: str) -> None:
    import pandas as pd

    if series.labels is None or pd.isna(series.labels).any():
        raise InputError(f"some series have no '{label}'; leave them out, or into --test")


def _parted(
    series: IrregularSeries, share: float, seed: int
) -> tuple[IrregularSeries, IrregularSeries, list[str]]:
    """Series to learn from, series to predict, and the Python that parts them."""
    import numpy as np
    from sklearn.model_selection import train_test_split

    try:
        rows, others = train_test_split(
            np.arange(len(series)), test_size=share, stratify=series.labels, random_state=seed
        )
    except ValueError as error:
        raise InputError(f"the series cannot be parted class by class: {error}") from error
    script = [
        "from sklearn.model_selection import train_test_split",
        f"train, unseen = train_test_split(series, test_size={share}, "
        f"stratify=series.labels, random_state={seed})",
    ]
    return series[rows], series[others], script


def _beside(
    series: IrregularSeries, other: SeriesFile, label: str, statics: str
) -> tuple[IrregularSeries, IrregularSeries, list[str]]:
    """The same with a second table, which may lack the classes."""
    frame, _ = other.read_table()
    named = label if label in frame.columns else None
    unseen, script = other.read(labels=named, statics=statics)
    return series, unseen.on_axis(series.axis), ["train = series", *script, "unseen = series"]


def _result(
    model: Model,
    settings: dict[str, Any],
    fitted: Any,
    train: IrregularSeries,
    unseen: IrregularSeries,
) -> Result:
    table = _predictions(fitted, unseen)
    accuracy, rocket = None, None
    lines = [f"{len(train)} series learned from, {len(unseen)} predicted"]
    if unseen.labels is not None:
        accuracy = float((table["label"] == table["predicted"]).mean())
        rocket = _accuracy_of_minirocket(train, unseen)
        lines.append(f"accuracy {accuracy:.3f} (MiniRocket {rocket:.3f})")
    return Result(
        {
            "model": model.estimator,
            "settings": settings,
            "classes": list(fitted.classes_),
            "n_train": len(train),
            "n_test": len(unseen),
            "accuracy": accuracy,
            "accuracy_of_minirocket": rocket,
        },
        "\n".join(lines),
        {"predictions": table},
        models={"model": fitted},
    )


def _predictions(fitted: Any, unseen: IrregularSeries) -> pd.DataFrame:
    import pandas as pd

    probabilities = fitted.predict_proba(unseen)
    table = pd.DataFrame({"id": list(unseen.ids)})
    if unseen.labels is not None:
        table["label"] = unseen.labels
    table["predicted"] = fitted.classes_[probabilities.argmax(axis=1)]
    for name, column in zip(fitted.classes_, probabilities.T, strict=True):
        table[f"p_{name}"] = column
    return table


def _accuracy_of_minirocket(train: IrregularSeries, unseen: IrregularSeries) -> float:
    from trajinfer.evaluation.series import MiniRocket

    rocket = MiniRocket(random_state=0).fit(train, train.labels)
    return float((rocket.predict(unseen) == unseen.labels).mean())
