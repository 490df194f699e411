"""`trajinfer demo`: the main job on real data, with the answer known."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trajinfer.cli.command import command
from trajinfer.cli.console import say
from trajinfer.cli.options import DrawingRun
from trajinfer.cli.output import Job, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from trajinfer.evaluation.demo import CountriesReport, PredatorsReport


@command(DrawingRun, out=Path("demo-result"))
def demo(run: DrawingRun, seed: Annotated[int, typer.Option(help="Seed.")] = 0) -> Job:
    """Find 142 countries again from snapshots, then the rates of a predator and its prey."""
    script = [
        "from trajinfer.evaluation.demo import Countries, CountriesReport, PredatorsReport",
        f"countries = CountriesReport.make(Countries.load(), random_state={seed}, verbose=0)",
        f"predators = PredatorsReport.make(random_state={seed}, verbose=0)",
    ]

    def work() -> Result:
        from trajinfer.evaluation.demo import Countries, CountriesReport, PredatorsReport

        bar = 0 if run.quiet else 1
        countries = CountriesReport.make(Countries.load(), random_state=seed, verbose=bar)
        say("2/2 Lotka-Volterra: fitting 5 snapshots of 50", quiet=run.quiet)
        predators = PredatorsReport.make(random_state=seed, verbose=bar)
        return _result(countries, predators, seed)

    return Job(script, "1/2 gapminder: fitting 6 snapshots of 142 countries", work)


def _result(countries: CountriesReport, predators: PredatorsReport, seed: int) -> Result:
    tables = {f"gapminder_{name}": table for name, table in countries.tables.items()}
    tables["lotka_volterra_parameters"] = predators.parameters()
    tables["lotka_volterra_scores"] = predators.scores
    return Result(
        {
            "seed": seed,
            "gapminder": countries.summary(),
            "lotka_volterra": predators.summary(),
        },
        f"{countries.text()}\n\n\n{predators.text()}\n",
        tables,
        models={
            "gapminder_model": countries.bridge,
            "lotka_volterra_model": predators.bridge,
        },
        figures={
            "gapminder": partial(_figure, countries, 12.0, 5.2),
            "lotka_volterra": partial(_figure, predators, 11.0, 4.4),
        },
    )


def _figure(report: CountriesReport | PredatorsReport, width: float, height: float) -> Figure:
    from trajinfer.plot.later import new_figure

    figure = new_figure(width, height)
    report.draw(figure)
    return figure
