"""`trajinfer impute`: the gaps of irregular series filled in, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trajinfer._core.errors import InputError
from trajinfer.cli.command import command
from trajinfer.cli.fitting import fitting
from trajinfer.cli.models import SCORE, Model, model_of, neural
from trajinfer.cli.options import DrawingTrainingRun, Level
from trajinfer.cli.options import Model as ModelName
from trajinfer.cli.output import Job, Result
from trajinfer.cli.series import SeriesFile
from trajinfer.cli.settings import SeededSettings
from trajinfer.cli.window import Window

if TYPE_CHECKING:
    from trajinfer._core.checks import Array
    from trajinfer.data import IrregularSeries, Windows

MODELS: dict[str, Model] = {**SCORE, **neural("NeuralSDEInterpolator")}
_MOST_FIGURES, _USUAL_LEVEL, _OF_FEW = 6, 0.95, "gru"


@command(DrawingTrainingRun)
def impute(
    file: SeriesFile,
    settings: SeededSettings,
    window: Window,
    level: Level = None,
    model: ModelName = None,
) -> Job:
    """Fill in the empty cells of series, with intervals; what was observed is kept.

    Models: score and score_network (20 series or more, or windows of fewer), and langevin,
    linear_noise, geometric, free, ode, cde, latent_sde, gru, ode_rnn; gru if not given for few.
    """
    share = _USUAL_LEVEL if level is None else level
    if not 0 < share < 1:
        raise InputError(f"--level must lie in (0, 1), got {share}")
    model_of(model, MODELS)
    series, reading = file.read()
    name = _OF_FEW if model is None and window.too_few(series) else model
    known = model_of(name, MODELS)
    window = window.usual(series) if name in (None, *SCORE) else window
    call = known.call(settings, named=model is not None)
    windows, pieces = window.cut(series), window.pieces
    filling = window.joining("joined_table", f"model.fill({pieces}, level={share})")
    learning = call.script(f".fit({window.observed})")
    script = [*reading, *window.script, *learning, f"filled = {filling}"]
    told = window.told(windows)

    def answer(fitted: Any) -> Result:
        return _result(fitted, windows, share, told)

    return fitting(call, file, windows.observed, answer, script)


def _result(fitted: Any, windows: Windows, level: float, told: list[str]) -> Result:
    from trajinfer.plot.later import figure_by_channel
    from trajinfer.plot.progress import forecasts

    series = windows.pieces
    table = windows.joined_table(fitted.fill(series, level=level))
    empty = ~series.mask[series.present]
    filled, outside = (
        {name: int(n) for name, n in zip(series.channels, counts, strict=True)}
        for counts in (empty.sum(axis=0), _outside(windows.whole))
    )
    some = series[: min(len(series), _MOST_FIGURES)]
    drawn, n = fitted.interpolate(some, some.times), len(series.channels)
    figures = {
        f"series_{i}": figure_by_channel(forecasts, drawn, series=i, observed=some[i], n_channels=n)
        for i in range(len(some))
    }
    lines = list(told)
    for name, n in filled.items():
        lines.append(f"{name}: {n} of {len(empty)} cells filled in")
        if outside[name]:
            lines.append(
                f"  {outside[name]} of them before its first or after its last value, where it may "
                "go to the mean and not along a trend: look at the figure"
            )
    summary = {"series": len(series), "filled": filled, "outside": outside, "level": level}
    return Result(summary, "\n".join(lines), {"imputed": table}, figures=figures)


def _outside(series: IrregularSeries) -> Array:
    """(C,) cells before the first and after the last value of a channel in their series."""
    import numpy as np

    seen = series.mask
    begun = np.maximum.accumulate(seen, axis=1)
    goes_on = np.maximum.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((~(begun & goes_on))[series.present].sum(axis=0))
