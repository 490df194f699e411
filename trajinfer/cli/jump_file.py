"""Paths of a jump process from a table with one row per observation of a state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from trajinfer.cli.dummies import with_dummies
from trajinfer.cli.files import TableFile
from trajinfer.cli.options import Id, Time, call_of, names

if TYPE_CHECKING:
    from trajinfer import JumpSeries


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
        typer.Option(
            help="Columns that the rates depend on, such as sex,age; text is compared with its "
            "first category; none if not given."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class JumpFile(TableFile, _Columns):
    """A file with one row per observation of a state."""

    def covariate_names(self) -> list[str] | None:
        """The columns of the covariates; None for none."""
        return None if self.covariates is None else names(self.covariates)

    def read(self, covariates: Sequence[str] = ()) -> tuple[JumpSeries, list[str]]:
        """The paths, and the Python that reads the same into `data`.

        Args:
            covariates: columns of covariates; those of text become columns of 0 and 1.

        Raises:
            InputError: if the file is unreadable, or as for `with_dummies` and
                `JumpSeries.from_frame`.
        """
        from trajinfer import JumpSeries

        frame, script = self.read_table(text=(self.id or None, self.state), time=self.time)
        self.require_id(frame, self.id)
        frame, chosen, coding = with_dummies(frame, covariates)
        usual = "observation" if "observation" in frame.columns else None
        words = {
            "time": self.time,
            "state": self.state,
            "observation": self.observation or usual,
            "covariates": chosen or None,
        }
        words = {name: value for name, value in words.items() if value is not None}
        call = call_of("JumpSeries.from_frame", words, "frame", f"id={self.id or None!r}")
        series = JumpSeries.from_frame(frame, id=self.id or None, **words)  # type: ignore[arg-type]
        return series, ["from trajinfer import JumpSeries", *script, *coding, f"data = {call}"]
