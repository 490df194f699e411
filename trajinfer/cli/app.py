"""The commands, and what happens when one of them fails."""

from __future__ import annotations

from typing import Any

import typer

from trajinfer.cli.anomaly import anomaly
from trajinfer.cli.ask import ask
from trajinfer.cli.catalogue import datasets
from trajinfer.cli.classify import classify
from trajinfer.cli.console import plain_messages
from trajinfer.cli.demo import demo
from trajinfer.cli.evaluate import evaluate
from trajinfer.cli.fit import fit
from trajinfer.cli.forecast import forecast
from trajinfer.cli.generate import generate
from trajinfer.cli.hurst import hurst
from trajinfer.cli.impute import impute
from trajinfer.cli.info import info
from trajinfer.cli.jumps import jumps


class _Group(typer.core.TyperGroup):
    """Runs every command with one-line errors (exit code 1) and one-line warnings."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with plain_messages():
            return super().invoke(ctx)


app = typer.Typer(
    name="trajinfer",
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Infer stochastic dynamics from observations that are scattered in time. "
    "Exit codes: 0 done, 1 unusable input, 2 wrong usage, 3 written but not converged.",
)
for command in (
    *(fit, forecast, impute, classify, evaluate, jumps, hurst, generate, anomaly),
    *(ask, demo, datasets, info),
):
    app.command()(command)


def main() -> None:
    """Run the command line."""
    app()
