"""Options of the commands that fit a bridge, and its Python call."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer.cli.references import build_reference, check_reference, process_class, with_dim
from trajinfer.cli.settings import SeededSettings, parse_value, to_toml

if TYPE_CHECKING:
    from trajinfer import SchrodingerBridge

ESTIMATOR = "SchrodingerBridge"


@dataclass(frozen=True, kw_only=True)
class BridgeSettings(SeededSettings):
    """Constructor arguments of `SchrodingerBridge`; the reference is a table with a `name`."""

    reference: Annotated[
        str | None,
        typer.Option(help="Dynamics to refine, e.g. lotka_volterra; Brownian if not given."),
    ] = None
    volatility: Annotated[
        str | None,
        typer.Option(
            help="A number, one per coordinate separated by commas, 'learn' or 'likelihood'."
        ),
    ] = None
    jobs: Annotated[int | None, typer.Option(help="Threads (n_jobs).")] = None
    device: Annotated[str | None, typer.Option(help="cpu or auto.")] = None

    def options(self) -> dict[str, Any]:
        """Settings that have a flag of their own."""
        return {
            "reference.name": self.reference,
            "volatility": None if self.volatility is None else parse_value(self.volatility),
            "random_state": self.seed,
            "n_jobs": self.jobs,
            "device": self.device,
        }

    def bridge(self) -> BridgeCall:
        """The settings, checked.

        Raises:
            InputError: for an unknown setting or reference; the nearest one is named.
        """
        from trajinfer import SchrodingerBridge

        settings = self.resolve(ESTIMATOR, list(inspect.signature(SchrodingerBridge).parameters))
        if isinstance(settings.get("reference"), str):
            settings["reference"] = {"name": settings["reference"]}
        if settings.get("reference") is not None:
            check_reference(settings["reference"])
        return BridgeCall(settings)


@dataclass(frozen=True)
class BridgeCall:
    """The call of a constructor with known settings.

    Attributes:
        settings: constructor arguments; the reference as a table with a `name`.
    """

    settings: Mapping[str, Any]

    def build(self, dim: int, *, verbose: int) -> SchrodingerBridge:
        """The estimator for data of this dimension.

        Raises:
            InputError: if the reference needs an argument, or does not take one.
        """
        from trajinfer import SchrodingerBridge

        arguments = dict(self.settings)
        if "reference" in arguments:
            arguments["reference"] = build_reference(arguments["reference"], dim)
        return SchrodingerBridge(**{**arguments, "verbose": verbose})

    def toml(self) -> str:
        """The settings as TOML."""
        return to_toml(self.settings, ESTIMATOR)

    def script(self, dim: int) -> list[str]:
        """Python that builds the estimator into `bridge`."""
        arguments = {k: repr(v) for k, v in self.settings.items() if k != "reference"}
        lines = []
        if "reference" in self.settings:
            table = dict(self.settings["reference"])
            process = process_class(table.pop("name"))
            learn = table.pop("learn", ())
            inner = ", ".join(f"{k}={v!r}" for k, v in with_dim(process, table, dim).items())
            freed = f".learn({', '.join(map(repr, learn))})" if learn else ""
            arguments = {"reference": f"{process.__name__}({inner}){freed}", **arguments}
            lines.append(f"from trajinfer.processes import {process.__name__}")
        words = ", ".join(f"{k}={v}" for k, v in arguments.items())
        return [*lines, f"bridge = {ESTIMATOR}({words})"]
