"""The job of most commands: an estimator is fitted to the data of a file, then answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from trajinfer.cli.files import TableFile
from trajinfer.cli.models import Call
from trajinfer.cli.output import Job, Result


def fitting(
    call: Call,
    file: TableFile,
    train: Any,
    answer: Callable[[Any], Result],
    script: Sequence[str],
    *,
    labels: Any = None,
) -> Job:
    """The job whose result holds the fitted model and its settings, beside what is answered.

    Args:
        call: of the estimator.
        file: that was read.
        train: what the estimator is fitted to.
        answer: what the command finds with the fitted estimator.
        script: the same as lines of Python.
        labels: of what it is fitted to, where it learns them.
    """

    def work() -> Result:
        fitted = call.build().fit(*(train,) if labels is None else (train, labels))
        result = answer(fitted)
        summary = {**call.summary(), **result.summary}
        return replace(result, summary=summary, models={"model": fitted})

    return Job(script, f"fitting {train} of {file.data}", work, call.toml())
