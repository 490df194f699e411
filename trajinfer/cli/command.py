"""A command from a function: option groups become flags, its job is done, written and shown.

A command is checked in three steps, so that a mistake is answered at once: the flags (typer), what
can be known without large packages (`Options.check` of its groups), then the data. Modules of the
command line therefore import numpy, pandas, torch and the rooms of trajinfer inside functions.
"""

from __future__ import annotations

import inspect
import shlex
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import typer

from trajinfer._core.errors import UnusedColumnsWarning
from trajinfer._core.process_group import is_first_process
from trajinfer.cli.advice import speak_for
from trajinfer.cli.console import (
    NOT_CONVERGED,
    remembered_warnings,
    say,
    show_json,
    show_log,
)
from trajinfer.cli.options import Options, Run
from trajinfer.cli.output import Job, Result, can_draw, check_target, write_result
from trajinfer.cli.together import run_together

if TYPE_CHECKING:
    from trajinfer._core.page import Page

_CONTEXT = "context"
G = TypeVar("G", bound=Options)


def command(
    run: type[Run] = Run, **defaults: Any
) -> Callable[[Callable[..., Job]], Callable[..., None]]:
    """Make a function a command.

    Args:
        run: the group of flags that say where the result goes; the function gets it as `run` where
            it has an argument of this name.
        defaults: values of flags in its groups that differ from those of the groups.

    Returns:
        A decorator. The function takes groups (subclasses of `Options`) and options of its own, and
        returns its `Job`.
    """

    def decorate(function: Callable[..., Job]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        known = inspect.signature(function).parameters
        groups = {name: hint for name, hint in hints.items() if _is_group(hint) and name != "run"}
        parameters = [_parameter(_CONTEXT, typer.Context)]
        for name, own in known.items():
            if name in groups:
                parameters += _flags(groups[name], defaults)
            elif name != "run":
                parameters.append(_parameter(name, hints[name], own.default))
        parameters += _flags(run, defaults)

        def call(**values: Any) -> None:
            context = values.pop(_CONTEXT)
            speak_for(context.command)
            given = {name: _filled(group, values) for name, group in groups.items()}
            how = _filled(run, values)
            if not is_first_process():  # of those that train together, the first one speaks
                how = replace(how, quiet=True, verbose=False)
            _prepare(how, list(given.values()))
            job = function(**given, **values, **({"run": how} if "run" in known else {}))
            _conclude(context, how, job)

        call.__name__, call.__doc__ = function.__name__, function.__doc__
        call.__module__, call.__qualname__ = function.__module__, function.__qualname__
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {p.name: p.annotation for p in parameters}
        return call

    return decorate


def _filled(group: type[G], values: dict[str, Any]) -> G:
    """The group with its fields taken out of the values."""
    return group(**{field.name: values.pop(field.name) for field in fields(group)})


def _is_group(hint: Any) -> bool:
    return inspect.isclass(hint) and issubclass(hint, Options)


def _parameter(name: str, hint: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=hint)


def _flags(group: type[Options], defaults: dict[str, Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    parameters = []
    for field in fields(group):
        own = inspect.Parameter.empty if field.default is MISSING else field.default
        parameters.append(_parameter(field.name, hints[field.name], defaults.get(field.name, own)))
    return parameters


def _prepare(run: Run, groups: Sequence[Options]) -> None:
    show_log(run.verbose)
    if not is_first_process():
        warnings.simplefilter("ignore")
    elif run.quiet:
        warnings.simplefilter("ignore", UnusedColumnsWarning)
    for group in (run, *groups):
        group.check()
    if run.out is not None and not run.dry_run:
        check_target(run.out)


def _conclude(context: typer.Context, run: Run, job: Job) -> None:
    """Do a job, write its result and show it."""
    if run.dry_run:
        typer.echo("\n".join(job.script))
        return
    if run.processes > 1:
        run_together(_words(context, without="nproc"), run.processes, quiet=run.quiet)
        return
    say(job.announcement, quiet=run.quiet)
    started = time.perf_counter()
    with remembered_warnings() as remarks:
        result = job.work()
    if not is_first_process():
        return
    document = {"command": context.info_name, **_data(context), **result.summary}
    document["seconds"] = time.perf_counter() - started
    if run.out is not None:
        page = _page(context, job, remarks) if run.reports else None
        document = _write(context, run, job, result, document, page)
    if run.as_json:
        show_json(document)
    else:
        where = [] if run.out is None else [f"{document['seconds']:.1f} s; written to {run.out}"]
        typer.echo("\n".join([result.text, *where]))
    if not result.converged:
        raise typer.Exit(NOT_CONVERGED)


def _data(context: typer.Context) -> dict[str, str]:
    return {"data": str(context.params["data"])} if "data" in context.params else {}


def _page(context: typer.Context, job: Job, remarks: list[str]) -> Page:
    """The head of a report: what was asked, how to repeat it, and the warnings of the work."""
    from trajinfer._core.page import Page

    page = Page(f"trajinfer {context.info_name}: {job.announcement}")
    for remark in remarks:
        page.warning(remark)
    page.heading("To repeat it").verbatim(command_line(context))
    return page.verbatim("\n".join(job.script))


def _write(
    context: typer.Context,
    run: Run,
    job: Job,
    result: Result,
    document: dict[str, Any],
    page: Page | None,
) -> dict[str, Any]:
    draw = bool(result.figures) and run.draws and can_draw(quiet=run.quiet)
    say("writing tables and figures" if draw else "writing tables", quiet=run.quiet)

    def fill(folder: Path) -> None:
        if job.config is not None:
            text = f"# {command_line(context)}\n# These settings repeat it: --config.\n{job.config}"
            (folder / "config.toml").write_text(text, encoding="utf-8")
        result.fill(folder, draw=draw, page=page)

    return write_result(run.out or Path(), document, fill)


def command_line(context: typer.Context) -> str:
    """The command as it was typed, in one line."""
    return " ".join(shlex.join(["trajinfer", *_words(context)]).split())


def _words(context: typer.Context, without: str = "") -> list[str]:
    """The command and its arguments as they were typed, but for an option that is left out."""
    words = [str(context.info_name)]
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if source is None or source.name != "COMMANDLINE" or parameter.name == without:
            continue
        value = context.params[str(parameter.name)]
        off = getattr(parameter, "secondary_opts", [])
        if parameter.param_type_name == "argument":
            words.insert(1, str(value))
        elif isinstance(value, bool):
            words.append(parameter.opts[0] if value else off[0])
        else:
            for one in value if isinstance(value, (list, tuple)) else [value]:
                words += [parameter.opts[0], str(one)]
    return words
