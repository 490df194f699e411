"""Processes by name, as the reference of a bridge: a table with a `name`, arguments and `learn`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trajinfer._core.errors import InputError, nearest

if TYPE_CHECKING:
    from trajinfer.processes import Process


def process_class(name: str) -> type[Process]:
    """A process by its class name or in lower case with underscores.

    Raises:
        InputError: if there is none of that name; the nearest one is named.
    """
    known = reference_names()
    by_class = {process.__name__: process for process in known.values()}
    process = known.get(name) or by_class.get(name)
    if process is None:
        raise InputError(f"no reference '{name}'; {nearest(name, known)}")
    return process


def reference_names() -> dict[str, type[Process]]:
    """The processes that can serve as a reference, by the name the command line takes."""
    from trajinfer import processes

    members = {name: getattr(processes, name) for name in processes.__all__}
    base = processes.Process
    return {
        _snake(name): value
        for name, value in members.items()
        if inspect.isclass(value) and issubclass(value, base) and value is not base
    }


def check_reference(reference: Any) -> None:
    """Refuse a reference without a name, or with an argument that its process does not take."""
    if not isinstance(reference, Mapping) or not isinstance(reference.get("name"), str):
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


def build_reference(table: Mapping[str, Any], dim: int) -> Process:
    """The process for data of this dimension.

    Raises:
        InputError: if it needs an argument that the table does not hold.
    """
    arguments = dict(table)
    process = process_class(arguments.pop("name"))
    learn = arguments.pop("learn", ())
    return process(**with_dim(process, arguments, dim)).learn(*learn)


def with_dim(process: type[Process], arguments: dict[str, Any], dim: int) -> dict[str, Any]:
    """The arguments, with the dimension where the process takes one.

    Raises:
        InputError: if one is missing.
    """
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
