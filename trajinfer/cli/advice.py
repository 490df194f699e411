"""Advice in the words of the command line: what Python calls `name=value` is an option here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

# A call is Python that a user runs elsewhere, and what follows --set is in our words already.
_CALL = r"[\w.]*\w\((?:[^()]|\([^()]*\))*\)"
_VALUE = r"'[^']*'|\"[^\"]*\"|\([^()]*\)|\[[^\[\]]*\]|[-+]?\w+(?:\.\w+)*(?:[-+]\w+)?|"
_WORD = re.compile(
    rf"(?P<kept>--set \S+|{_CALL})|(?<![\w.'-])(?P<name>[a-z_]+)=(?![=.])(?P<value>{_VALUE})"
)


@dataclass(frozen=True)
class Vocabulary:
    """How one command calls what the library names by its arguments.

    Attributes:
        options: of the command, by name.
        settings: names that `--set` takes.
        flagged: those of them that have an option of their own, under the same name.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Collection[str] = ()
    flagged: Collection[str] = ()

    @classmethod
    def of(cls, command: Any) -> Vocabulary:
        """The options of a command of typer."""
        named = [p for p in command.params if p.param_type_name == "option"]
        return cls({str(parameter.name): parameter for parameter in named})

    def speak(self, text: str) -> str:
        """The text with options in the place of arguments.

        >>> Vocabulary(settings=["tol"]).speak("give tol=1e-4, or see f(tol=1)")
        'give --set tol=1e-4, or see f(tol=1)'
        """
        return _WORD.sub(self._replaced, text)

    def _replaced(self, found: re.Match[str]) -> str:
        name, value = found["name"], found["value"]
        if name in self.settings and name not in self.flagged:
            return _assignment(name, value)
        if name in self.options:
            return _flag(self.options[name], value)
        return found[0]


_NONE = Vocabulary()
_SPOKEN: ContextVar[Vocabulary] = ContextVar("vocabulary", default=_NONE)


@contextmanager
def own_words() -> Iterator[None]:
    """A block in which commands say what words they have."""
    token = _SPOKEN.set(_NONE)
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def speak_for(command: Any) -> None:
    """From now on messages are in the words of this command."""
    _SPOKEN.set(Vocabulary.of(command))


def learn_settings(settings: Collection[str], flagged: Collection[str]) -> None:
    """From now on they are also in the settings of its estimator.

    Args:
        settings: names that `--set` takes.
        flagged: those of them that have an option of their own, under the same name.
    """
    known = replace(_SPOKEN.get(), settings=frozenset(settings), flagged=frozenset(flagged))
    _SPOKEN.set(known)


def spoken(text: str) -> str:
    """The text in the words of the command that runs."""
    return _SPOKEN.get().speak(text)


def _assignment(name: str, value: str) -> str:
    """What `--set` takes: lists for tuples, and no word for None, which no file of settings has."""
    bare = value.strip("'\"")
    if bare == "None":
        return f"{name} unset"
    if bare in ("True", "False"):
        bare = bare.lower()
    if value.startswith("("):
        bare = f"[{value[1:-1]}]"
    return f"--set {shlex.quote(f'{name}={bare}') if bare.strip() else f'{name}='}"


def _flag(option: Any, value: str) -> str:
    """An option with its value; without one if it is there or not."""
    name, bare = max(option.opts, key=len), value.strip("'\"")
    if bare == "None":
        return f"{name} unset"
    if option.is_flag:
        off = option.secondary_opts[0] if option.secondary_opts else f"no {name}"
        return off if bare == "False" else name
    return f"{name} {shlex.quote(bare)}" if bare else name
