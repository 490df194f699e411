"""Settings of a run: a TOML file, then single assignments, then options; the later one counts."""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trajinfer import processes
from trajinfer._core.errors import InputError, nearest
from trajinfer.bridges import SchrodingerBridge
from trajinfer.processes import Process

ESTIMATOR = SchrodingerBridge.__name__


def resolve(
    config: Path | None, assignments: Sequence[str], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Constructor arguments of `SchrodingerBridge`, the reference as a table with a `name`.

    Args:
        config: TOML file with a table `[SchrodingerBridge]`, or None.
        assignments: texts such as "tol=1e-4" or "reference.degree=3".
        options: from the command line; None means not given.

    Raises:
        InputError: if the file cannot be read or a key is unknown; the nearest one is named.
    """
    settings = {} if config is None else _from_file(config)
    for text in assignments:
        _assign(settings, text)
    for key, value in options.items():
        if value is not None:
            _put(settings, key.split("."), value)
    reference = settings.get("reference")
    if isinstance(reference, str):
        settings["reference"] = {"name": reference}
    _check_keys(settings)
    settings.setdefault("random_state", 0)
    return settings


def resolve_plain(
    estimator: type,
    config: Path | None,
    assignments: Sequence[str],
    options: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any],
    chosen: Mapping[str, Any],
) -> dict[str, Any]:
    """Constructor arguments of an estimator without nested settings; the later one counts.

    Args:
        estimator: its class; the TOML table has its name.
        config: TOML file, or None.
        assignments: texts such as "hidden=32".
        options: from the command line; None means not given.
        defaults: what holds where the file says nothing.
        chosen: what a chosen model stands for, whatever the file says.

    Raises:
        InputError: if the file cannot be read or a key is unknown; the nearest one is named.
    """
    name = estimator.__name__
    settings = {**defaults, **({} if config is None else _from_file(config, name)), **chosen}
    for text in assignments:
        _assign(settings, text)
    settings |= {key: value for key, value in options.items() if value is not None}
    known = list(inspect.signature(estimator).parameters)
    for key in settings:
        if key not in known:
            raise InputError(f"{name} has no setting '{key}'; {nearest(key, known)}")
    settings.setdefault("random_state", 0)
    return settings


def build(settings: Mapping[str, Any], dim: int) -> SchrodingerBridge:
    """The estimator that the settings describe, for data of a dimension.

    Raises:
        InputError: if the reference is unknown, lacks an argument, or does not take one.
    """
    arguments = dict(settings)
    if "reference" in arguments:
        arguments["reference"] = _build_reference(arguments["reference"], dim)
    return SchrodingerBridge(**arguments)


def to_script(settings: Mapping[str, Any], dim: int) -> tuple[str, str]:
    """The same as Python: the name of the process to import ("" for none) and the call."""
    arguments = {k: repr(v) for k, v in settings.items() if k != "reference"}
    name = ""
    if "reference" in settings:
        table = dict(settings["reference"])
        process = process_class(table.pop("name"))
        name = process.__name__
        learn = table.pop("learn", ())
        inner = ", ".join(f"{k}={v!r}" for k, v in _with_dim(process, table, dim).items())
        freed = f".learn({', '.join(map(repr, learn))})" if learn else ""
        arguments = {"reference": f"{name}({inner}){freed}", **arguments}
    return name, f"{ESTIMATOR}({', '.join(f'{k}={v}' for k, v in arguments.items())})"


def to_toml(settings: Mapping[str, Any], estimator: str = ESTIMATOR) -> str:
    """The settings as the TOML that `resolve` and `resolve_plain` read."""
    plain = {k: v for k, v in settings.items() if not isinstance(v, Mapping)}
    lines = [f"[{estimator}]", *(f"{k} = {_toml(v)}" for k, v in plain.items())]
    for key, table in settings.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{estimator}.{key}]", *(f"{k} = {_toml(v)}" for k, v in table.items())]
    return "\n".join(lines) + "\n"


def process_class(name: str) -> type[Process]:
    """A process by its class name or in lower case with underscores.

    Raises:
        InputError: if there is none of that name; the nearest one is named.
    """
    known = reference_names()
    by_class = {process.__name__: process for process in known.values()}
    found = known.get(name) or by_class.get(name)
    if found is None:
        raise InputError(f"no reference '{name}'; {nearest(name, known)}")
    return found


def reference_names() -> dict[str, type[Process]]:
    """The processes that can serve as a reference, by the name the command line takes."""
    found = {name: getattr(processes, name) for name in processes.__all__}
    return {
        _snake(name): value
        for name, value in found.items()
        if inspect.isclass(value) and issubclass(value, Process) and value is not Process
    }


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


def _from_file(path: Path, estimator: str = ESTIMATOR) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} cannot be read as TOML: {error}") from error
    for key in document:
        if key != estimator:
            raise InputError(f"{path}: unknown key '{key}'; {nearest(key, [estimator])}")
    return dict(document.get(estimator, {}))


def _assign(settings: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"'{text}' is no assignment; write key=value")
    _put(settings, key.strip().split("."), parse_value(value.strip()))


def _put(settings: dict[str, Any], path: list[str], value: Any) -> None:
    table = settings
    for key in path[:-1]:
        inner = table.get(key, {})
        inner = {"name": inner} if isinstance(inner, str) else dict(inner)
        table[key] = inner
        table = inner
    table[path[-1]] = value


def _check_keys(settings: Mapping[str, Any]) -> None:
    known = list(inspect.signature(SchrodingerBridge).parameters)
    for key in settings:
        if key not in known:
            raise InputError(f"{ESTIMATOR} has no setting '{key}'; {nearest(key, known)}")
    reference = settings.get("reference")
    if reference is None:
        return
    if not isinstance(reference, Mapping) or "name" not in reference:
        raise InputError(
            "the reference needs a name, e.g. --reference lotka_volterra; known: "
            f"{', '.join(reference_names())}"
        )
    process = process_class(reference["name"])
    arguments = [*inspect.signature(process).parameters, "learn"]
    for key in reference:
        if key not in ("name", *arguments):
            raise InputError(
                f"{process.__name__} has no argument '{key}'; {nearest(key, arguments)}"
            )


def _build_reference(table: Mapping[str, Any], dim: int) -> Process:
    arguments = dict(table)
    process = process_class(arguments.pop("name"))
    learn = arguments.pop("learn", ())
    return process(**_with_dim(process, arguments, dim)).learn(*learn)


def _with_dim(process: type[Process], arguments: dict[str, Any], dim: int) -> dict[str, Any]:
    parameters = inspect.signature(process).parameters
    if "dim" in parameters and "dim" not in arguments:
        arguments = {"dim": dim, **arguments}
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in arguments:
            raise InputError(
                f"{process.__name__} needs {name}; give it with --set reference.{name}=..."
            )
    return arguments


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value)
