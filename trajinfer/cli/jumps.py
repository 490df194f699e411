"""`trajinfer jumps`: rates of a Markov jump process from a table of labels."""

from __future__ import annotations

from dataclasses import replace

from trajinfer.cli.command import command
from trajinfer.cli.jump_file import JumpFile
from trajinfer.cli.jump_settings import USUAL, JumpSettings, columns_of
from trajinfer.cli.models import Model
from trajinfer.cli.options import DrawingRun
from trajinfer.cli.output import Job, Result

MODEL = Model("MarkovJumpProcess", {})


@command(DrawingRun)
def jumps(file: JumpFile, settings: JumpSettings) -> Job:
    """Estimate the rates of a Markov jump process, with intervals; hazard ratios of covariates."""
    covariates = {"covariates": file.covariate_names()}
    call = MODEL.call(settings, options=covariates, defaults=USUAL)
    named = columns_of(call.arguments.get("covariates"))
    series, reading = file.read(named)
    n_states = call.arguments.get("n_states")
    # what is no number of states is refused by the estimator
    labels = list(range(n_states) if isinstance(n_states, int) else series.categories)
    call, made = settings.with_links(call, labels)
    if named:  # a column of text has become several
        columns = list(series.covariate_names)
        made = replace(made, arguments={**made.arguments, "covariates": columns})

    def work() -> Result:
        from trajinfer.evaluation.jump_report import JumpReport

        model = made.build().fit(series)
        well = bool(model.converged_)
        result = Result.of(JumpReport(model, series), {"model": model}, converged=well)
        return replace(result, summary={"settings": call.arguments, **result.summary})

    script = [*reading, *made.script(".fit(data)")]
    return Job(script, f"fitting {series} of {file.data}", work, call.toml())
