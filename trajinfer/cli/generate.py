"""`trajinfer generate`: new series with the law of those given, and a report on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer._core.errors import InputError
from trajinfer.cli.command import command
from trajinfer.cli.console import say
from trajinfer.cli.options import DrawingRun, N, call_of
from trajinfer.cli.output import Job, Result, figure_of
from trajinfer.cli.series import Model, SeriesFile
from trajinfer.cli.settings import SeededSettings, to_toml

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from trajinfer import IrregularSeries, Trajectories
    from trajinfer._core.checks import Array
    from trajinfer.evaluation import GenerationReport

MODEL = Model("DirectedChainGenerator", {})
_HELD_OUT = 4
_DRAWN = 40


@command(DrawingRun)
def generate(
    file: SeriesFile,
    settings: SeededSettings,
    run: DrawingRun,
    n: N = 1000,
    group: Annotated[
        str | None,
        typer.Option(help="Column of numbers: series of one group are held out together."),
    ] = None,
    transform: Annotated[
        str | None,
        typer.Option(help="auto, standard, rows (tables), relative (prices) or daily (readings)."),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Hold a quarter out and judge the result by it.")
    ] = False,
) -> Job:
    """Draw synthetic series; with --report, say what is wrong with them."""
    if n < 1:
        raise InputError(f"--n must be at least 1, got {n}")
    series, reading, categories = file.read_with_categories(statics=group or "")
    arguments = MODEL.resolve(settings, options={"transform": transform})
    groups = None if group is None else _groups(series, group)
    script = [*reading, *_script(arguments, n, report, grouped=group is not None)]

    def work() -> Result:
        import numpy as np

        held_out = _held_out(series, groups) if report else np.zeros(len(series), dtype=bool)
        pooled = arguments.get("neighbour") == "pool" and groups is not None
        systems = {"groups": groups[~held_out]} if pooled and groups is not None else {}
        fitted = MODEL.load()(**arguments).fit(series[np.flatnonzero(~held_out)], **systems)
        losses = () if pooled else fitted.losses(series[np.flatnonzero(~held_out)])
        for sentence in losses:
            say(f"lost in draws: {sentence}", quiet=run.quiet)
        drawn = fitted.sample(n)
        judged = None
        if report:
            judged = _judge(series, held_out, drawn, groups, arguments, run.quiet)
        table = _table(drawn, series)
        for name, codes in categories.items():
            table[name] = codes.decode(table[name].to_numpy(dtype=float)).to_numpy()
            table[name] = table[name].astype(codes.dtype)
        return _result(arguments, fitted, series, held_out, drawn, table, losses, judged)

    toml = to_toml(arguments, MODEL.estimator)
    return Job(script, f"fitting {series} of {file.data}", work, toml)


def _result(
    settings: dict[str, Any],
    fitted: Any,
    series: IrregularSeries,
    held_out: Array,
    drawn: Trajectories,
    table: DataFrame,
    losses: tuple[str, ...],
    judged: GenerationReport | None,
) -> Result:
    summary = {
        "model": MODEL.estimator,
        "settings": settings,
        "series": len(series),
        "held_out": int(held_out.sum()),
        "drawn": len(drawn.values),
        "losses": list(losses),
        "flags": None if judged is None else sorted(judged.flags),
    }
    lines = [] if judged is None else [str(judged)]
    texts = {}
    if judged is not None:
        texts = {"report.txt": f"{judged}\n", "report.json": judged.to_json() + "\n"}
    return Result(
        summary,
        "\n".join([*lines, f"{len(drawn.values)} series drawn"]),
        {"synthetic": table},
        models={"model": fitted},
        texts=texts,
        figures=_figures(drawn, judged),
    )


def _table(drawn: Trajectories, series: IrregularSeries) -> DataFrame:
    """The draws with the columns of the table they were learned from, and its types."""
    from dataclasses import replace

    import numpy as np

    from trajinfer import IrregularSeries
    from trajinfer.data.series_tables import Table

    times = np.broadcast_to(drawn.ts, drawn.values.shape[:2])
    made = IrregularSeries.from_arrays(times, drawn.values, channels=series.channels)
    names = series.table or Table()
    broken = {
        name
        for name, column in zip(series.channels, made.flat_values.T, strict=True)
        if not (column == np.round(column)).all()
    }
    kept = {name: dtype for name, dtype in names.dtypes.items() if name not in broken}
    kept = {name: dtype for name, dtype in kept.items() if name != names.id}
    table = replace(names, dtypes=kept)
    return replace(made, axis=drawn.axis, table=table).to_frame()


def _groups(series: IrregularSeries, column: str) -> Array:
    import numpy as np

    if series.statics is None or not np.isfinite(series.statics[:, -1]).all():
        raise InputError(f"--group {column} must be a number for every series")
    return np.asarray(series.statics[:, -1])


def _held_out(series: IrregularSeries, groups: Array | None) -> Array:
    """Every fourth group (or series), so that no group is on both sides."""
    import numpy as np

    labels = np.arange(len(series)) if groups is None else groups
    order = np.unique(labels, return_inverse=True)[1]
    if order.max() + 1 < 2 * _HELD_OUT:
        raise InputError(
            f"--report needs at least {2 * _HELD_OUT} series or groups, got {order.max() + 1}"
        )
    return np.asarray(order % _HELD_OUT == _HELD_OUT - 1)


def _judge(
    series: IrregularSeries,
    held_out: Array,
    drawn: Trajectories,
    groups: Array | None,
    settings: dict[str, Any],
    quiet: bool,
) -> GenerationReport:
    import numpy as np

    from trajinfer.evaluation import generation_report

    sides = None if groups is None else (groups[~held_out], groups[held_out])
    real: Any = series[np.flatnonzero(~held_out)], series[np.flatnonzero(held_out)]
    if settings.get("transform") in ("relative", "daily"):
        shown = _relative if settings["transform"] == "relative" else _as_they_are
        parts: tuple[Any, ...] = (*(shown(part.values) for part in real), shown(drawn.values))
    else:
        parts = (*real, drawn)
    return generation_report(
        *parts,
        groups=sides,
        random_state=settings.get("random_state", 0),
        progress=lambda text: say(text, quiet=quiet),
    )


def _as_they_are(values: Array) -> Array:
    return values


def _relative(values: Array) -> Array:
    """Logarithms relative to the first value of every series."""
    import numpy as np

    if not (values > 0).all():
        raise InputError("--transform relative is for positive values")
    logs = np.log(values)
    return np.asarray(logs - logs[:, :1])


def _script(settings: dict[str, Any], n: int, report: bool, *, grouped: bool) -> list[str]:
    lines = [
        f"from trajinfer import {MODEL.estimator}",
        f"model = {call_of(MODEL.estimator, settings)}",
    ]
    if not report:
        return [*lines, f"synthetic = model.fit(series).sample({n})"]
    named = ", groups=(groups[~held_out], groups[held_out])" if grouped else ""
    order = "np.unique(groups, return_inverse=True)[1]" if grouped else "np.arange(len(series))"
    return [
        "import numpy as np",
        "from trajinfer.evaluation import generation_report",
        *lines,
        *(["groups = series.statics[:, -1]"] if grouped else []),
        f"held_out = {order} % {_HELD_OUT} == {_HELD_OUT - 1}",
        f"synthetic = model.fit(series[np.flatnonzero(~held_out)]).sample({n})",
        "real = series.values[~held_out], series.values[held_out]",
        f"print(generation_report(*real, synthetic.values{named}))",
    ]


def _figures(
    drawn: Trajectories, judged: GenerationReport | None
) -> dict[str, Callable[[], Figure]]:
    from trajinfer import Trajectories, plot

    ts = drawn.ts[:_DRAWN] if drawn.ts.ndim == 2 else drawn.ts
    some = Trajectories(ts, drawn.values[:_DRAWN], features=drawn.features, axis=drawn.axis)
    figures = {"synthetic": figure_of(plot.trajectories, some, size=(6.0, 3.8))}
    if judged is not None:
        figures["report"] = figure_of(judged.plot, size=(6.0, 5.0))
    return figures
