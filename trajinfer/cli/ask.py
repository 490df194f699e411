"""`trajinfer ask`: fates and passage times of a fitted model, in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer._core.errors import InputError
from trajinfer._core.text import table_text
from trajinfer.cli.command import command
from trajinfer.cli.files import TableFile
from trajinfer.cli.options import DrawingRun, Id, N, Seed, Time, call_of
from trajinfer.cli.output import Job, Result, figure_of

if TYPE_CHECKING:
    import pandas as pd

    from trajinfer.functionals.region import Region

_CONDITION = re.compile(r"^\s*(.+?)\s*(>=|<=|>|<)\s*([-+0-9.eE]+)\s*$")
_MANY = 12


@dataclass(frozen=True)
class _Answer:
    """A table of answers, what is drawn of it, and what was assumed."""

    table: pd.DataFrame
    method: str
    notes: tuple[str, ...]
    law: Any = None


@command(DrawingRun, out=Path("answer"))
def ask(
    model: Annotated[Path, typer.Argument(help="Result folder, or a saved model.")],
    target: Annotated[
        str,
        typer.Option(help="What is to be reached: 'x>=1.2', 'x>=1&y<=0', or labels by commas."),
    ],
    before: Annotated[
        str | None, typer.Option(help="What ends the attempt, written as --target.")
    ] = None,
    horizon: Annotated[
        str | None, typer.Option(help="Duration of the attempt, such as 10, or 3d for dates.")
    ] = None,
    start: Annotated[
        str, typer.Option("--from", help="'last', a label, or a state such as 'x=0.3,y=1'.")
    ] = "last",
    table: Annotated[
        Path | None, typer.Option("--series", help="Table of the series to go on from.")
    ] = None,
    id: Id = "id",
    time: Time = "time",
    n: N = 200,
    seed: Seed = None,
) -> Job:
    """Ask a fitted model which region is reached first, how likely, and how soon."""
    folder = _model_folder(model)
    words = {"target": target, "before": before, "horizon": horizon, "start": start}

    import trajinfer
    from trajinfer.functionals import as_dynamics
    from trajinfer.functionals.dynamics import names_of

    fitted = trajinfer.load(folder)
    dynamics = as_dynamics(fitted)
    names = names_of(dynamics)
    regions = {name: _region(text, names) for name, text in _texts(target, before).items()}
    length = None if horizon is None else _length(horizon)
    place = _start(start, dynamics)
    if table is not None:
        place = _series(table, id, time, fitted)
    regions = {k: r.on(names, getattr(dynamics, "dim", 1)) for k, r in regions.items()}
    settings = {"n": n, "random_state": 0 if seed is None else seed}
    script = [
        "import trajinfer",
        f"model = trajinfer.load({str(folder)!r})",
        _call(target, before, length, start),
    ]

    def work() -> Result:
        answer = _answer(fitted, dynamics, regions, place, length, settings)
        return _result(words, answer)

    return Job(script, f"asking the model in {folder}", work)


def _model_folder(path: Path) -> Path:
    for folder in (path / "model", path):
        if (folder / "config.json").is_file():
            return folder
    raise InputError(
        f"{path} holds no saved model; give the result folder of trajinfer fit, jumps or forecast"
    )


def _texts(target: str, before: str | None) -> dict[str, str]:
    return {"target": target, **({} if before is None else {"before": before})}


def _region(text: str, names: Any) -> Region:
    """The region that a text describes: conditions joined by &, or labels by commas."""
    from trajinfer.functionals import states

    parts = [_CONDITION.match(part) for part in text.split("&")]
    conditions = [part for part in parts if part is not None]
    if len(conditions) == len(parts):
        whole = _half(conditions[0])
        for part in conditions[1:]:
            whole = whole & _half(part)
        return whole
    labels = {str(label): label for label in names or ()}
    wanted = [part.strip() for part in text.split(",")]
    if all(part in labels for part in wanted):
        return states([labels[part] for part in wanted])
    known = f"; names known here: {', '.join(labels)}" if labels else ""
    raise InputError(
        f"{text!r} is no region: write conditions such as 'x>=1.2', joined by &, or labels by "
        f"commas{known}"
    )


def _half(condition: re.Match[str]) -> Region:
    from trajinfer.functionals import above, below

    channel, sign, level = condition.groups()
    place: Any = int(channel) if channel.isdigit() else channel
    make = above if sign.startswith(">") else below
    return make(float(level), channel=place)


def _length(text: str) -> Any:
    """A number, or a duration as text."""
    try:
        return float(text)
    except ValueError:
        return text


def _start(text: str, dynamics: Any) -> Any:
    """Where the question starts: states, labels, or None for what the process knows."""
    import numpy as np

    from trajinfer.functionals import Chain, Diffusion
    from trajinfer.functionals.region import channel_number

    if isinstance(dynamics, Chain):
        labels = {str(label): label for label in dynamics.states}
        if text == "last":
            return list(dynamics.states)
        if text not in labels:
            raise InputError(f"--from {text!r} is no state; the states are {', '.join(labels)}")
        return [labels[text]]
    if text == "last":
        if isinstance(dynamics, Diffusion) and dynamics.last is None:
            raise InputError("the model keeps no last states; give --from such as 'x=0.3'")
        return getattr(dynamics, "last", None)
    place = np.full(dynamics.dim, np.nan)
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"--from {text!r} is no state; write 'x=0.3,y=1', or last")
        channel: Any = int(name) if name.strip().isdigit() else name.strip()
        place[channel_number(channel, dynamics.features, dynamics.dim)] = float(value)
    if np.isnan(place).any():
        missing = np.flatnonzero(np.isnan(place)).tolist()
        raise InputError(f"--from {text!r} leaves out the coordinates {missing}; give them all")
    return place[None]


def _series(path: Path, id: str, time: str, fitted: Any) -> Any:
    from trajinfer import IrregularSeries

    reader = TableFile(data=path)
    reader.check()
    frame, _ = reader.read_table(text=(id,), time=time)
    names = getattr(fitted, "feature_names_in_", None)
    channels = None if names is None else list(map(str, names))
    return IrregularSeries.from_frame(frame, id=id, time=time, channels=channels)


def _call(target: str, before: str | None, horizon: Any, start: str) -> str:
    """The Python that asks the same."""

    def region(text: str) -> str:
        parts = [_CONDITION.match(part) for part in text.split("&")]
        if not all(parts):
            return f"F.states({[label.strip() for label in text.split(',')]!r})"
        halves = [part.groups() for part in parts if part is not None]
        return " & ".join(
            f"F.{'above' if sign[0] == '>' else 'below'}({level}, channel={channel!r})"
            for channel, sign, level in halves
        )

    words = {"horizon": horizon}
    inner = [region(target), *([] if before is None else [f"before={region(before)}"])]
    question = call_of("F.hitting_probability", words, *inner)
    return f"from trajinfer import functionals as F; F.estimate({question}, model)  # from {start}"


def _answer(
    fitted: Any,
    dynamics: Any,
    regions: Mapping[str, Region],
    place: Any,
    horizon: Any,
    settings: dict[str, Any],
) -> _Answer:
    from trajinfer.functionals import Chain, Diffusion, passage

    table, method = _fates(fitted, dynamics, regions, place, horizon, settings)
    law = None
    if horizon is not None and "before" not in regions and isinstance(dynamics, (Chain, Diffusion)):
        ts = _times(dynamics, horizon)
        law = passage(dynamics, regions["target"], place, ts=ts, random_state=0)
    elif horizon is None and "before" not in regions:
        table = table.assign(mean_time=_mean_time(dynamics, regions["target"], place, settings))
    return _Answer(table, method, dynamics.notes, law)


def _fates(
    fitted: Any,
    dynamics: Any,
    regions: Mapping[str, Region],
    place: Any,
    horizon: Any,
    settings: dict[str, Any],
) -> tuple[pd.DataFrame, str]:
    """Starts and the probability to reach the target, with an interval where one is known."""
    from trajinfer.functionals import (
        Chain,
        PathSource,
        estimate,
        fate_probabilities,
        fit_interval,
        hitting_probability,
    )

    question = hitting_probability(regions["target"], before=regions.get("before"), horizon=horizon)
    starts = _frame_of(place, dynamics)
    if isinstance(dynamics, PathSource):
        answer = estimate(question, dynamics, place, **settings)
        low, high = answer.interval(0.9)
        columns = {"probability": answer.value, "lower": low.clip(0, 1), "upper": high.clip(0, 1)}
        return starts.assign(**columns), "paths counted; the interval is that of the simulation"
    seed = settings["random_state"]
    if isinstance(dynamics, Chain) and dynamics.draw_rates is not None:
        spread = fit_interval(question, fitted, place, n=100, random_state=seed)
        columns = {"probability": spread.value, "lower": spread.lower, "upper": spread.upper}
        return starts.assign(**columns), "exact; the interval is that of the fit"
    fates = fate_probabilities(dynamics, place, regions, horizon=horizon, random_state=seed)
    return starts.assign(probability=fates.probabilities[:, 0]), fates.method


def _frame_of(place: Any, dynamics: Any) -> pd.DataFrame:
    """The starts as a table."""
    import pandas as pd

    from trajinfer.functionals import Chain, Diffusion

    if isinstance(dynamics, Chain):
        return pd.DataFrame({"from": list(map(str, place))})
    if isinstance(dynamics, Diffusion):
        names = dynamics.features or [f"x{d}" for d in range(dynamics.dim)]
        return pd.DataFrame(place, columns=list(names))
    return pd.DataFrame({"series": ["all"] if place is None else list(place.ids)})


def _mean_time(dynamics: Any, target: Region, place: Any, settings: dict[str, Any]) -> Any:
    from trajinfer.functionals import ValueFunction, hitting_time
    from trajinfer.functionals.methods.scale_measure import NeverSurely

    model = ValueFunction(hitting_time(target), random_state=settings["random_state"])
    try:
        times = model.fit(dynamics, place).predict(place)
    except NeverSurely:
        return float("inf")
    axis = dynamics.axis
    return times if axis.kind == "number" else axis.since_start().decode(times)


def _times(dynamics: Any, horizon: Any) -> Any:
    import numpy as np

    length = dynamics.axis.duration(horizon)
    return np.linspace(length / 40, length, 40)


def _result(words: dict[str, Any], answer: _Answer) -> Result:
    from trajinfer import plot

    table = answer.table
    shown = table if len(table) <= _MANY else table.describe().loc[["mean", "min", "50%", "max"]]
    lines = [table_text(shown.reset_index() if len(table) > _MANY else shown, digits=4)]
    lines += ["", f"method: {answer.method}"]
    lines += [f"assumed: {note}" for note in answer.notes]
    tables, figures = {"answer": table}, {}
    summary: dict[str, Any] = {
        "question": words,
        "method": answer.method,
        "assumed": answer.notes,
        "starts": len(table),
        "mean_probability": float(table["probability"].mean()),
    }
    if answer.law is not None:
        law = answer.law
        tables["passage"] = law.to_frame()
        unit = law.axis.unit or ""
        mean = law.survival.mean(axis=0)
        figures["passage"] = figure_of(plot.passage, law.ts, mean, unit=unit, size=(5.0, 3.8))
    return Result(summary, "\n".join(lines), tables, figures=figures)
