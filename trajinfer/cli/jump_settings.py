"""Constructor arguments of `MarkovJumpProcess` as flags, and its Python call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from trajinfer._core.errors import InputError, nearest
from trajinfer.cli.links import matrix_of, pairs_of
from trajinfer.cli.models import Call
from trajinfer.cli.settings import SeededSettings, parse_value

METHODS = ("auto", "em", "mle", "map", "bayes", "amortized")
USUAL = {"method": METHODS[0], "label_noise": 0.0, "reversible": False}


@dataclass(frozen=True, kw_only=True)
class JumpSettings(SeededSettings):
    """The number of states, what is known of the rates, and how they are estimated."""

    states: Annotated[
        int | None, typer.Option(help="Number of states; those that occur if not given.")
    ] = None
    method: Annotated[
        str | None, typer.Option(help=", ".join(METHODS) + "; the first one if not given.")
    ] = None
    label_noise: Annotated[
        str | None,
        typer.Option(help="Probability of a wrong label, or 'learn'; 0 if not given."),
    ] = None
    reversible: Annotated[
        bool | None, typer.Option("--reversible", help="Impose detailed balance.")
    ] = None
    links: Annotated[
        str | None,
        typer.Option(
            help="Possible jumps as pairs of labels, such as well-ill,ill-well; 'select' by BIC; "
            "all if not given."
        ),
    ] = None

    def check(self) -> None:
        """Refuse an unknown method and a label noise that is no number."""
        super().check()
        if self.method is not None and self.method not in METHODS:
            raise InputError(f"unknown method {self.method!r}; {nearest(self.method, METHODS)}")
        self.options()

    def options(self) -> dict[str, Any]:
        """Settings that have a flag of their own; the links wait for the labels of the data."""
        return {
            **super().options(),
            "n_states": self.states,
            "method": self.method,
            "label_noise": None if self.label_noise is None else _noise(self.label_noise),
            "reversible": self.reversible,
        }

    def with_links(self, call: Call, labels: Sequence[Any]) -> tuple[Call, Call]:
        """The call with the links as pairs, for files and people, and as a matrix, for Python.

        Raises:
            InputError: for links between labels that are not there.
        """
        if self.links:
            pairs = "select" if self.links == "select" else pairs_of(self.links, labels)
            call = replace(call, arguments={**call.arguments, "links": pairs})
        links = call.arguments.get("links")
        if links is None or links == "select":
            return call, call
        matrix = matrix_of(links, labels)
        return call, replace(call, arguments={**call.arguments, "links": matrix})


def columns_of(covariates: Any) -> list[str]:
    """The columns that covariates in a file of settings name.

    Raises:
        InputError: for effects that a file of settings cannot hold.
    """
    named = [] if covariates is None else covariates
    if isinstance(named, list) and all(isinstance(name, str) for name in named):
        return list(named)
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
