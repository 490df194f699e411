"""`trajinfer jumps`: rates of a Markov jump process from a table of labels."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer._core.errors import InputError, nearest
from trajinfer._core.text import table_text
from trajinfer.cli.command import command
from trajinfer.cli.files import TableFile
from trajinfer.cli.options import DrawingRun, Id, Time, call_of
from trajinfer.cli.output import Job, Result, figure_of
from trajinfer.cli.settings import SeededSettings, parse_value, to_toml

if TYPE_CHECKING:
    from trajinfer import JumpSeries, MarkovJumpProcess

ESTIMATOR = "MarkovJumpProcess"
METHODS = ("auto", "em", "mle", "map", "bayes", "amortized")


@dataclass(frozen=True, kw_only=True)
class _Columns:
    id: Id = "id"
    time: Time = "time"
    state: Annotated[str, typer.Option(help="Column of the state.")] = "state"
    observation: Annotated[
        str | None, typer.Option(help="Column of snapshot, jump, absorption.")
    ] = None
    covariates: Annotated[
        str | None,
        typer.Option(help="Columns that the rates depend on, such as sex,age; none if not given."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class JumpFile(TableFile, _Columns):
    """A file with one row per observation of a state."""

    def names(self) -> list[str] | None:
        """The columns of the covariates; None for none."""
        if self.covariates is None:
            return None
        return [name.strip() for name in self.covariates.split(",") if name.strip()]

    def read(self, covariates: Sequence[str] = ()) -> tuple[JumpSeries, list[str]]:
        """The paths, and the Python that reads the same into `data`.

        Args:
            covariates: columns of covariates.

        Raises:
            InputError: if the file is unreadable, or as for `JumpSeries.from_frame`.
        """
        from trajinfer import JumpSeries

        frame, script = self.read_table(text=(self.id, self.state), time=self.time)
        usual = "observation" if "observation" in frame.columns else None
        words = {
            "id": self.id,
            "time": self.time,
            "state": self.state,
            "observation": self.observation or usual,
            "covariates": list(covariates) or None,
        }
        words = {name: value for name, value in words.items() if value is not None}
        call = call_of("JumpSeries.from_frame", words, "frame")
        series = JumpSeries.from_frame(frame, **words)  # type: ignore[arg-type]
        return series, ["from trajinfer import JumpSeries", *script, f"data = {call}"]


@command(DrawingRun)
def jumps(
    file: JumpFile,
    settings: SeededSettings,
    states: Annotated[
        int | None, typer.Option(help="Number of states; those that occur if not given.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help=", ".join(METHODS) + "; the first one if not given.")
    ] = None,
    label_noise: Annotated[
        str | None,
        typer.Option(help="Probability of a wrong label, or 'learn'; 0 if not given."),
    ] = None,
    reversible: Annotated[
        bool | None, typer.Option("--reversible", help="Impose detailed balance.")
    ] = None,
    links: Annotated[
        str | None,
        typer.Option(
            help="Possible jumps as pairs of labels, such as well-ill,ill-well; 'select' by BIC; "
            "all if not given."
        ),
    ] = None,
) -> Job:
    """Estimate the rates of a Markov jump process, with intervals; hazard ratios of covariates."""
    if method is not None and method not in METHODS:
        raise InputError(f"unknown method {method!r}; {nearest(method, METHODS)}")
    noise = None if label_noise is None else _noise(label_noise)

    import trajinfer

    arguments = settings.resolve(
        ESTIMATOR,
        list(inspect.signature(trajinfer.MarkovJumpProcess).parameters),
        options={
            "n_states": states,
            "method": method,
            "label_noise": noise,
            "reversible": reversible,
            "covariates": file.names(),
        },
        defaults={"method": METHODS[0], "label_noise": 0.0, "reversible": False},
    )
    series, reading = file.read(_columns(arguments.get("covariates")))
    n_states = arguments.get("n_states")
    labels = list(series.categories if n_states is None else range(n_states))
    if links:
        arguments["links"] = links if links == "select" else _pairs(links, labels)
    call = _call(arguments, labels)
    shown = {k: v.astype(int).tolist() if hasattr(v, "astype") else v for k, v in call.items()}
    script = [
        *reading,
        f"from trajinfer import {ESTIMATOR}",
        f"model = {call_of(ESTIMATOR, shown)}.fit(data)",
    ]

    def work() -> Result:
        return _result(arguments, trajinfer.MarkovJumpProcess(**call).fit(series), series)

    toml = to_toml(arguments, ESTIMATOR)
    return Job(script, f"fitting {series} of {file.data}", work, toml)


def _columns(covariates: Any) -> list[str]:
    """The columns that covariates in a file of settings name."""
    if covariates is None or isinstance(covariates, list):
        return list(covariates or [])
    if isinstance(covariates, str) and covariates != "all":
        return [covariates]
    raise InputError(
        f"covariates in a file of settings is a list of columns, got {covariates!r}; effects of "
        "single links need Python, see docs/jumps.md"
    )


def _noise(text: str) -> Any:
    value = parse_value(text)
    if value == "learn" or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise InputError(f"--label-noise must be a number or 'learn', got {text!r}")


def _pairs(text: str, labels: Sequence[Any]) -> list[list[Any]]:
    """Links such as "well-ill,ill-well" as pairs of labels; a label may hold a hyphen itself."""
    by_text = {str(label): label for label in labels}
    pairs = []
    for part in text.split(","):
        cuts = [(part[:k].strip(), part[k + 1 :].strip()) for k, c in enumerate(part) if c == "-"]
        ends = [(a, b) for a, b in cuts if a in by_text and b in by_text]
        if len(ends) != 1:
            raise InputError(
                f"--links takes pairs such as {labels[0]}-{labels[-1]}, got {part!r}; the labels "
                f"are {', '.join(by_text)}"
            )
        pairs.append([by_text[end] for end in ends[0]])
    return pairs


def _call(settings: dict[str, Any], labels: Sequence[Any]) -> dict[str, Any]:
    """Arguments of the constructor: pairs of labels become a matrix of links."""
    import numpy as np

    links = settings.get("links")
    if links is None or links == "select":
        return settings
    mask = np.zeros((len(labels), len(labels)), dtype=bool)
    for pair in links:
        if not isinstance(pair, list) or len(pair) != 2 or not set(pair) <= set(labels):
            raise InputError(
                f"links takes pairs such as {[labels[0], labels[-1]]}, got {pair!r}; the labels "
                f"are {', '.join(map(str, labels))}"
            )
        mask[labels.index(pair[0]), labels.index(pair[1])] = True
    return {**settings, "links": mask}


def _result(settings: dict[str, Any], model: MarkovJumpProcess, series: JumpSeries) -> Result:
    from trajinfer import plot

    tables = {"rates": model.rate_table()}
    if hasattr(model, "effect_rows_"):
        tables["hazard_ratios"] = model.effects_
    since = model.prevalence_times(series, 60)
    known = series.recode(model.states_)
    summary = {
        "settings": settings,
        "method": model.method_,
        "states": list(model.states_),
        "links": tables["rates"][["from", "to"]].to_numpy().tolist(),
        **tables,
        "initial": model.initial_,
        "label_noise": model.label_noise_,
        "log_likelihood": model.log_likelihood_,
        "converged": bool(model.converged_),
        "relaxation_times": model.relaxation_times(),
    }
    text = [table_text(table, digits=4) for table in tables.values()]
    text.append(f"log-likelihood {model.log_likelihood_:.3f} by {model.method_}")

    def occupation(ax: Any) -> None:
        plot.occupation(known, since, model.model_.mean_law(known, since), ax=ax)

    return Result(
        summary,
        "\n\n".join(text),
        tables,
        models={"model": model},
        figures={
            "rates": figure_of(plot.rates, model, size=(5.0, 4.2)),
            "graph": figure_of(plot.transition_graph, model, size=(5.0, 4.2)),
            "occupation": figure_of(occupation, size=(5.5, 3.8)),
        },
        converged=bool(model.converged_),
    )
