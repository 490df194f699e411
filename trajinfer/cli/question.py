"""What `trajinfer ask` asks, from options and from the config.toml of an earlier answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer._core.errors import InputError, nearest
from trajinfer.cli.options import Options, Seed, call_of
from trajinfer.cli.region_text import region_of, region_script
from trajinfer.cli.settings import read_toml, to_toml
from trajinfer.cli.typed_times import duration_of

if TYPE_CHECKING:
    from trajinfer.questions.region import Region

TABLE = "ask"
_USUAL = {"from": "last", "n": 200, "seed": 0}
_NUMBERS = ("n", "seed")


@dataclass(frozen=True)
class Asked:
    """A question in words.

    Attributes:
        target: what is to be reached.
        before: what ends the attempt.
        horizon: its duration.
        start: from where.
        n: paths to draw.
        seed: of them.
    """

    target: str
    before: str | None
    horizon: str | None
    start: str
    n: int
    seed: int

    def words(self) -> dict[str, Any]:
        """The question without the settings of a simulation."""
        return {key: value for key, value in vars(self).items() if key not in _NUMBERS}

    @property
    def duration(self) -> float | str | None:
        """The horizon as a number or a duration; None for none."""
        return None if self.horizon is None else duration_of(self.horizon)

    def regions(self, dynamics: Any) -> dict[str, Region]:
        """The target, and what ends the attempt, as regions of a process.

        Raises:
            InputError: for text that is no region, or channels that the process has not.
        """
        from trajinfer.functionals.dynamics import names_of

        names, dim = names_of(dynamics), getattr(dynamics, "dim", 1)
        texts = {"target": self.target, **({"before": self.before} if self.before else {})}
        regions = {name: region_of(text, names) for name, text in texts.items()}
        return {name: region.on(names, dim) for name, region in regions.items()}

    def script(self, folder: str, dynamics: Any) -> list[str]:
        """The Python that asks the model of a folder, which has these dynamics, the same."""
        from trajinfer.functionals.dynamics import names_of

        names = names_of(dynamics)
        before = [f"before={region_script(self.before, names)}"] if self.before else []
        target = region_script(self.target, names)
        call = call_of("F.hitting_probability", {"horizon": self.duration}, target, *before)
        asking = f"F.estimate({call}, model)  # from {self.start}"
        return [
            "import trajinfer",
            f"model = trajinfer.load({folder!r})",
            f"from trajinfer import functionals as F; {asking}",
        ]

    def to_toml(self) -> str:
        """All of it, as `Question` reads it."""
        return to_toml({key.replace("start", "from"): x for key, x in vars(self).items()}, TABLE)


@dataclass(frozen=True, kw_only=True)
class Question(Options):
    """A question, of a file and of options, which replace what the file says."""

    target: Annotated[
        str | None,
        typer.Option(
            help="What is to be reached: 'x>=1.2', 'x>=1&y<=0|z<=-1', or labels by comma."
        ),
    ] = None
    before: Annotated[
        str | None, typer.Option(help="What ends the attempt, written as --target.")
    ] = None
    horizon: Annotated[
        str | None, typer.Option(help="Duration of the attempt, such as 10, or 3d for dates.")
    ] = None
    start: Annotated[
        str | None,
        typer.Option(
            "--from", help="'last' (if not given), 'new', a label, or a state such as 'x=0.3,y=1'."
        ),
    ] = None
    n: Annotated[int | None, typer.Option(help="Number of paths to draw; 200 if not given.")] = None
    seed: Seed = None
    config: Annotated[
        Path | None, typer.Option(help="TOML file with a table [ask]; config.toml of an answer.")
    ] = None

    def check(self) -> None:
        """Refuse a question that cannot be read, before a model is."""
        self.asked()

    def asked(self) -> Asked:
        """The question.

        Raises:
            InputError: for an unknown key, a value of another kind, or a missing target.
        """
        options: dict[str, Any] = {"target": self.target, "before": self.before}
        options |= {"horizon": self.horizon, "from": self.start, "n": self.n, "seed": self.seed}
        known = {**_USUAL, **self._from_file(list(options))}
        known |= {key: value for key, value in options.items() if value is not None}
        if "target" not in known:
            raise InputError("give --target, what is to be reached, such as --target 'x>=1.2'")
        for key, value in known.items():
            kind = int if key in _NUMBERS else str
            if not isinstance(value, kind) or isinstance(value, bool):
                raise InputError(f"{self.config}: {key} must be {kind.__name__}, got {value!r}")
        words: dict[str, Any] = {key: known.get(key) for key in options if key != "from"}
        return Asked(start=known["from"], **words)

    def _from_file(self, keys: list[str]) -> dict[str, Any]:
        document = {} if self.config is None else read_toml(self.config)
        table = document.get(TABLE, {})
        if not isinstance(table, dict):
            raise InputError(f"{self.config}: {TABLE} must be a table, [{TABLE}]")
        for key, near in [*((k, [TABLE]) for k in document), *((k, keys) for k in table)]:
            if key not in near:
                raise InputError(f"{self.config}: unknown key '{key}'; {nearest(key, near)}")
        return table
