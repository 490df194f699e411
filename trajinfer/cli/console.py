"""Where text goes: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import logging
import math
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from trajinfer._core.errors import TrajinferError
from trajinfer.cli.advice import own_words, spoken

NOT_CONVERGED = 3


@contextmanager
def plain_messages() -> Iterator[None]:
    """Errors on purpose end in one line and exit code 1; warnings are one line each."""
    with warnings.catch_warnings(), own_words():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        warnings.filterwarnings("always", category=FutureWarning, module=r"trajinfer\.cli")
        warnings.showwarning = _show_warning
        try:
            yield
        except (TrajinferError, OSError) as error:
            typer.echo(f"error: {_one_line(error)}", err=True)
            raise typer.Exit(1) from error


@contextmanager
def remembered_warnings() -> Iterator[list[str]]:
    """The warnings of a block, one line each, which are shown as ever."""
    remarks: list[str] = []
    show = warnings.showwarning

    def remember(message: Any, *more: Any, **named: Any) -> None:
        remarks.append(_one_line(message))
        show(message, *more, **named)

    warnings.showwarning = remember
    try:
        yield remarks
    finally:
        warnings.showwarning = show


def say(text: str, *, quiet: bool = False) -> None:
    """Progress, for people."""
    if not quiet:
        typer.echo(text, err=True)


def show_log(verbose: bool) -> None:
    """With `verbose`, the package's own log on standard error."""
    logger = logging.getLogger("trajinfer")
    for old in [h for h in logger.handlers if getattr(h, "of_command_line", False)]:
        logger.removeHandler(old)
    if verbose:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        handler.of_command_line = True  # type: ignore[attr-defined]
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def show_json(document: Mapping[str, Any]) -> None:
    """A result for machines."""
    typer.echo(to_json(document))


def to_json(document: Mapping[str, Any]) -> str:
    """JSON of a result; NaN becomes null."""
    return json.dumps(_plain(document), indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "columns"):
        return [_plain(record) for record in value.to_dict("records")]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    typer.echo(f"warning: {_one_line(message)}", err=True)


def _one_line(message: object) -> str:
    return spoken(" ".join(str(message).split()))
