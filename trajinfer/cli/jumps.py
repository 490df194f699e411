"""`trajinfer jumps`: rates of a Markov jump process from a table of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trajinfer._core.text import table_text
from trajinfer.cli.command import command
from trajinfer.cli.jump_file import JumpFile
from trajinfer.cli.jump_settings import USUAL, JumpSettings, columns_of
from trajinfer.cli.models import Model
from trajinfer.cli.options import DrawingRun
from trajinfer.cli.output import Job, Result, figure_of

if TYPE_CHECKING:
    from trajinfer import JumpSeries, MarkovJumpProcess

MODEL = Model("MarkovJumpProcess", {})


@command(DrawingRun)
def jumps(file: JumpFile, settings: JumpSettings) -> Job:
    """Estimate the rates of a Markov jump process, with intervals; hazard ratios of covariates."""
    covariates = {"covariates": file.covariate_names()}
    call = MODEL.call(settings, options=covariates, defaults=USUAL)
    series, reading = file.read(columns_of(call.arguments.get("covariates")))
    n_states = call.arguments.get("n_states")
    labels = list(series.categories if n_states is None else range(n_states))
    call, made = settings.with_links(call, labels)

    def work() -> Result:
        return _result(call.arguments, made.build().fit(series), series)

    script = [*reading, *made.script(".fit(data)")]
    return Job(script, f"fitting {series} of {file.data}", work, call.toml())


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
