"""`trajinfer jumps`: rates of a Markov jump process from a table of labels."""

from __future__ import annotations

import time as clock
import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from trajinfer import plot
from trajinfer._core.errors import InputError, nearest
from trajinfer.cli import options
from trajinfer.cli.console import NOT_CONVERGED, say, show_json, show_log, table_text
from trajinfer.cli.output import can_draw, check_target, new_figure, write_result
from trajinfer.data import JumpSeries
from trajinfer.jumps import MarkovJumpProcess

_METHODS = ("auto", "em", "mle", "map", "bayes", "amortized")


def jumps(  # noqa: PLR0913 (a command has as many arguments as it has options)
    data: Annotated[Path, typer.Argument(help="csv, tsv or parquet, one row per observation.")],
    id: Annotated[str, typer.Option(help="Column that names the path.")] = "id",
    time: options.Time = "time",
    state: Annotated[str, typer.Option(help="Column of the state.")] = "state",
    observation: Annotated[
        str | None, typer.Option(help="Column of snapshot, jump, absorption.")
    ] = None,
    states: Annotated[
        int | None, typer.Option(help="Number of states; those that occur if not given.")
    ] = None,
    method: Annotated[str, typer.Option(help=", ".join(_METHODS) + ".")] = "auto",
    label_noise: Annotated[
        str, typer.Option(help="Probability of a wrong label, or 'learn'.")
    ] = "0",
    reversible: Annotated[bool, typer.Option(help="Impose detailed balance.")] = False,
    links: Annotated[
        str, typer.Option(help="Possible jumps such as 0-1,1-2; 'select' by BIC; all if empty.")
    ] = "",
    figures: Annotated[bool, typer.Option(help="Whether to draw.")] = True,
    seed: options.Seed = None,
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = Path("result"),
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Estimate the rates of a Markov jump process, with intervals."""
    show_log(verbose)
    if method not in _METHODS:
        raise InputError(f"unknown method {method!r}; {nearest(method, _METHODS)}")
    frame = _read(data)
    columns = {"id": id, "time": time, "state": state, "observation": observation}
    if observation is None and "observation" in frame.columns:
        columns["observation"] = "observation"
    series = JumpSeries.from_frame(frame, **columns)  # type: ignore[arg-type]
    labels = tuple(range(states)) if states is not None else series.categories
    settings: dict[str, Any] = {
        "n_states": states,
        "method": method,
        "label_noise": _noise(label_noise),
        "reversible": reversible,
        "links": _links(links, [str(label) for label in labels]),
        "random_state": 0 if seed is None else seed,
    }
    if dry_run:
        typer.echo(_script(data, columns, settings))
        return
    check_target(out)
    say(f"fitting {series} of {data}", quiet=quiet)
    started = clock.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        model = MarkovJumpProcess(**settings).fit(series)
    table = rate_table(model)
    document: dict[str, Any] = {
        "command": "jumps",
        "data": str(data),
        "settings": {k: v for k, v in settings.items() if k != "links"},
        "method": model.method_,
        "states": list(model.states_),
        "rates": table,
        "initial": model.initial_,
        "label_noise": model.label_noise_,
        "log_likelihood": model.log_likelihood_,
        "converged": bool(model.converged_),
        "relaxation_times": model.relaxation_times(),
        "seconds": clock.perf_counter() - started,
    }
    draw = figures and can_draw(quiet=quiet)

    def fill(folder: Path) -> None:
        table.to_csv(folder / "rates.csv", index=False)
        model.save(folder / "model")
        if draw:
            _draw(model, series, folder)

    document = write_result(out, document, fill)
    if as_json:
        show_json(document)
    else:
        found = f"log-likelihood {model.log_likelihood_:.3f} by {model.method_}"
        typer.echo(f"{table_text(table, digits=4)}\n\n{found}; written to {out}")
    if not model.converged_:
        raise typer.Exit(NOT_CONVERGED)


def rate_table(model: MarkovJumpProcess) -> pd.DataFrame:
    """One row per link: start, end, rate, its standard error and 95 % interval."""
    links = np.argwhere((model.rates_ > 0) & ~np.eye(len(model.rates_), dtype=bool))
    names = np.array([str(label) for label in model.states_])
    i, j = links.T
    return pd.DataFrame(
        {
            "from": names[i],
            "to": names[j],
            "rate": model.rates_[i, j],
            "std_error": model.std_errors_[i, j],
            "lower": model.intervals_[i, j, 0],
            "upper": model.intervals_[i, j, 1],
            "expected_jumps": model.expected_jumps_[i, j],
        }
    )


def _draw(model: MarkovJumpProcess, series: JumpSeries, folder: Path) -> None:
    for name, function in {"rates": plot.rates, "graph": plot.transition_graph}.items():
        figure = new_figure(5.0, 4.2)
        function(model, ax=figure.subplots())
        figure.savefig(folder / f"{name}.png")
    span = float((series.times.max(axis=1) - series.times[:, 0]).max())
    ts = np.linspace(0, span, 60)
    start = JumpSeries.from_arrays([[0.0]], [[None]], categories=model.states_, signal=[[0.0]])
    laws = model.predict_proba(start, ts)[0]
    figure = new_figure(5.5, 3.8)
    plot.occupation(series.recode(model.states_), ts, laws, ax=figure.subplots())
    figure.savefig(folder / "occupation.png")


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"no file {path}")
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix in (".csv", ".tsv", ".txt"):
        return pd.read_csv(path, sep="," if path.suffix == ".csv" else "\t")
    raise InputError(f"{path} is neither csv, tsv nor parquet; convert the table first")


def _noise(text: str) -> float | str:
    if text == "learn":
        return text
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"--label-noise must be a number or 'learn', got {text!r}") from error


def _links(text: str, labels: list[str]) -> Any:
    if text in ("", "select"):
        return text or None
    mask = np.zeros((len(labels), len(labels)), dtype=bool)
    for part in text.split(","):
        ends = [end.strip() for end in part.split("-")]
        if len(ends) != 2 or not set(ends) <= set(labels):
            raise InputError(f"--links takes pairs such as {labels[0]}-{labels[-1]}, got {part!r}")
        mask[labels.index(ends[0]), labels.index(ends[1])] = True
    return mask


def _script(path: Path, columns: dict[str, Any], settings: dict[str, Any]) -> str:
    given = {k: v for k, v in columns.items() if v is not None}
    reader = "read_parquet" if path.suffix == ".parquet" else "read_csv"
    named = ", ".join(f"{k}={v!r}" for k, v in given.items())
    chosen = {
        k: v.astype(int).tolist() if isinstance(v, np.ndarray) else v
        for k, v in settings.items()
        if v is not None
    }
    call = ", ".join(f"{k}={v!r}" for k, v in chosen.items())
    return "\n".join(
        [
            "import pandas as pd",
            "from trajinfer import JumpSeries, MarkovJumpProcess",
            f"data = JumpSeries.from_frame(pd.{reader}({str(path)!r}), {named})",
            f"model = MarkovJumpProcess({call}).fit(data)",
        ]
    )
