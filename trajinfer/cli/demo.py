"""`trajinfer demo`: the main job on real data, with the answer known."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from trajinfer.cli import options
from trajinfer.cli.console import say, show_json, show_log
from trajinfer.cli.countries import Countries, CountriesReport
from trajinfer.cli.output import can_draw, check_target, write_result
from trajinfer.cli.predators import PredatorsReport


def demo(
    out: Annotated[Path, typer.Option(help="Folder for tables and figures.")] = Path("demo-result"),
    seed: Annotated[int, typer.Option(help="Seed.")] = 0,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Find 142 countries again from snapshots, then the rates of a predator and its prey."""
    show_log(verbose)
    check_target(out)
    started = time.perf_counter()
    bar = 0 if quiet else 1
    say("1/2 gapminder: fitting 6 snapshots of 142 countries", quiet=quiet)
    countries = CountriesReport.make(Countries.load(), random_state=seed, verbose=bar)
    say("2/2 Lotka-Volterra: fitting 5 snapshots of 50", quiet=quiet)
    predators = PredatorsReport.make(random_state=seed, verbose=bar)
    draw = can_draw(quiet=quiet)
    say("writing tables and figures" if draw else "writing tables", quiet=quiet)

    def fill(folder: Path) -> None:
        for name, table in countries.tables.items():
            table.to_csv(folder / f"gapminder_{name}.csv", index=False)
        predators.parameters().to_csv(folder / "lotka_volterra_parameters.csv", index=False)
        predators.scores.to_csv(folder / "lotka_volterra_scores.csv", index=False)
        countries.bridge.save(folder / "gapminder_model")
        predators.bridge.save(folder / "lotka_volterra_model")
        if draw:
            countries.draw(folder / "gapminder.png")
            predators.draw(folder / "lotka_volterra.png")

    summary = {
        "command": "demo",
        "seed": seed,
        "gapminder": countries.summary(),
        "lotka_volterra": predators.summary(),
    }
    document = write_result(out, summary, fill)
    seconds = time.perf_counter() - started
    if as_json:
        show_json({**document, "seconds": seconds})
    else:
        typer.echo(f"{countries.text()}\n\n\n{predators.text()}\n")
        typer.echo(f"{seconds:.0f} s; tables and figures written to {out}")
