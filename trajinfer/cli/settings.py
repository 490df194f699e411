"""Settings of a run: a TOML file, then single assignments, then options; the later one counts."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from trajinfer._core.errors import InputError, nearest
from trajinfer.cli.advice import learn_settings
from trajinfer.cli.options import Options, Seed


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """Constructor arguments of an estimator: from a file, and one by one."""

    config: Annotated[
        Path | None,
        typer.Option(help="TOML file with a table named by the estimator; config.toml of a run."),
    ] = None
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any constructor argument, such as tol=1e-4; repeatable."),
    ] = None

    def check(self) -> None:
        """Read the file and the assignments once, for their mistakes."""
        if self.config is not None:
            read_toml(self.config)
        for text in self.assignments or ():
            assign({}, text)

    def options(self) -> dict[str, Any]:
        """Settings that have a flag of their own; None where it was not given."""
        return {}

    def resolve(
        self,
        estimator: str,
        known: Sequence[str],
        *,
        options: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
        chosen: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Settings of an estimator; of two that disagree the later one counts.

        Args:
            estimator: its name, that of the table in the file.
            known: names of its settings.
            options: more options of the command line; None means not given.
            defaults: values for settings the file does not name.
            chosen: values that a chosen model stands for, whatever the file says.

        Raises:
            InputError: if a key is unknown; the nearest one is named.
        """
        settings = {**(defaults or {}), **self._from_file(estimator), **(chosen or {})}
        for text in self.assignments or ():
            assign(settings, text)
        flags = {**(options or {}), **self.options()}
        learn_settings(known, {*flags, *(field.name for field in fields(self))})
        for key, value in flags.items():
            if value is not None:
                put(settings, key.split("."), value)
        for key in settings:
            if key not in known:
                raise InputError(f"{estimator} has no setting '{key}'; {nearest(key, known)}")
        if "random_state" in known:
            settings.setdefault("random_state", 0)
        return settings

    def _from_file(self, estimator: str) -> dict[str, Any]:
        if self.config is None:
            return {}
        document = read_toml(self.config)
        for key in document:
            if key != estimator:
                raise InputError(f"{self.config}: unknown key '{key}'; {nearest(key, [estimator])}")
        table = document.get(estimator, {})
        if not isinstance(table, dict):
            raise InputError(f"{self.config}: {estimator} must be a table, [{estimator}]")
        return dict(table)


@dataclass(frozen=True, kw_only=True)
class SeededSettings(Settings):
    """The same for estimators that draw random numbers."""

    seed: Seed = None

    def options(self) -> dict[str, Any]:
        """Settings that have a flag of their own."""
        return {"random_state": self.seed}


def to_toml(settings: Mapping[str, Any], estimator: str) -> str:
    """The settings as the TOML that `Settings.resolve` reads; those that are None are left out."""
    known = {key: value for key, value in settings.items() if value is not None}
    plain = {key: value for key, value in known.items() if not isinstance(value, Mapping)}
    lines = [f"[{estimator}]", *(f"{k} = {_toml(v)}" for k, v in plain.items())]
    for key, table in known.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{estimator}.{key}]", *(f"{k} = {_toml(v)}" for k, v in table.items())]
    return "\n".join(lines) + "\n"


def parse_value(text: str) -> Any:
    """A TOML value, or the text itself where it is none.

    >>> parse_value("0.1"), parse_value("[1, 2]"), parse_value("learn"), parse_value("0.1,0.2")
    (0.1, [1, 2], 'learn', [0.1, 0.2])
    """
    for candidate in (text, f"[{text}]"):
        try:
            return tomllib.loads(f"value = {candidate}")["value"]
        except tomllib.TOMLDecodeError:
            continue
    return text


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} cannot be read as TOML: {error}") from error


def assign(settings: dict[str, Any], text: str) -> None:
    """Put "key=value" into the settings, in place.

    Raises:
        InputError: if the text is no assignment.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"'{text}' is no assignment; write key=value")
    put(settings, key.strip().split("."), parse_value(value.strip()))


def put(settings: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set a value that may lie in a table; a table that was a text becomes its `name`.

    Raises:
        InputError: if something else than a table is there.
    """
    table = settings
    for key in path[:-1]:
        inner = table.get(key, {})
        inner = {"name": inner} if isinstance(inner, str) else inner
        if not isinstance(inner, Mapping):
            raise InputError(
                f"'{'.'.join(path)}' sets a part of {key}, which is {inner!r}; give one of the two"
            )
        inner = dict(inner)
        table[key] = inner
        table = inner
    table[path[-1]] = value


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value)
