"""`trajinfer classify`: the class of each of a set of irregular series."""

from __future__ import annotations

from typing import Any

from trajinfer.cli.class_split import ClassSplit, ClassTask
from trajinfer.cli.command import command
from trajinfer.cli.fitting import fitting
from trajinfer.cli.models import Model, model_of, neural
from trajinfer.cli.options import DrawingTrainingRun
from trajinfer.cli.options import Model as ModelName
from trajinfer.cli.output import Job, Result
from trajinfer.cli.series import SeriesFile, Statics
from trajinfer.cli.settings import SeededSettings

MODELS: dict[str, Model] = {**neural("NeuralSDEClassifier")}


@command(DrawingTrainingRun)
def classify(
    file: SeriesFile,
    settings: SeededSettings,
    split: ClassSplit,
    statics: Statics = "",
    model: ModelName = None,
) -> Job:
    """Learn the class of irregular series and predict it for others.

    Models: langevin, linear_noise, geometric, free, ode, cde, latent_sde, gru, ode_rnn.
    """
    known = model_of(model, MODELS)
    call = known.call(settings, named=model is not None)
    task = split.task(file, statics, call.arguments.get("random_state", 0))
    script = [
        *task.script,
        *call.script(".fit(train, train.labels)"),
        "probabilities = model.predict_proba(unseen)",
    ]

    def answer(fitted: Any) -> Result:
        return _result(fitted, task)

    return fitting(call, file, task.train, answer, script, labels=task.train.labels)


def _result(fitted: Any, task: ClassTask) -> Result:
    from trajinfer import plot
    from trajinfer.evaluation.series.classification import accuracy_of_minirocket, prediction_table
    from trajinfer.plot.later import figure_by_channel, figure_of
    from trajinfer.plot.observations import channels

    table = prediction_table(fitted, task.unseen)
    accuracy, rocket = None, None
    lines = [f"{len(task.train)} series learned from, {len(task.unseen)} predicted"]
    if task.unseen.labels is not None:
        accuracy = float((table["label"] == table["predicted"]).mean())
        rocket = accuracy_of_minirocket(task.train, task.unseen)
        lines.append(f"accuracy {accuracy:.3f} (MiniRocket {rocket:.3f})")
    summary = {
        "classes": list(fitted.classes_),
        "n_train": len(task.train),
        "n_test": len(task.unseen),
        "accuracy": accuracy,
        "accuracy_of_minirocket": rocket,
    }
    size = (max(4.0, 0.6 * len(fitted.classes_) + 2.2), max(3.2, 0.4 * len(fitted.classes_) + 1.4))
    figures = {
        "classes": figure_of(plot.classes, table, size=size),
        "data": figure_by_channel(channels, task.train, n_channels=len(task.train.channels)),
    }
    return Result(summary, "\n".join(lines), {"predictions": table}, figures=figures)
