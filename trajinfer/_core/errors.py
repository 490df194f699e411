"""The errors of the package: each says what was expected, what came, and one thing to try."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TrajinferError(Exception):
    """Base class of every error raised on purpose by trajinfer."""


class InputError(TrajinferError, ValueError):
    """The input cannot be used as given; raised before any work starts."""


class InputTypeError(InputError, TypeError):
    """The input holds things of a kind that cannot be used, such as objects for numbers."""


class MissingExtra(TrajinferError, ImportError):
    """An optional dependency is not installed."""


class NotConverged(TrajinferError, RuntimeError):
    """An iteration ended without reaching its tolerance."""


class TaskFailure(TrajinferError, RuntimeError):
    """One of many independent fits failed; the message names it and its seed."""


class StorageError(TrajinferError, OSError):
    """A file cannot be written: no room, or no permission; what was there before is kept."""


class ExtrapolationWarning(UserWarning):
    """A result is asked for outside the range of the observations."""


class IdentifiabilityWarning(UserWarning):
    """Some numbers are hardly determined by the data."""


class UnusedColumnsWarning(UserWarning):
    """Columns of a table are left out that nobody asked to leave out."""


class SolverError(TrajinferError, RuntimeError):
    """Base class of what can go wrong while an SDE is solved.

    Args:
        message: what happened and what to try.
        t: time at which it happened, where that is known.
        step: index of the step.
        method: name of the solver.
        h: length of the step.
    """

    def __init__(
        self,
        message: str,
        *,
        t: float | None = None,
        step: int | None = None,
        method: str | None = None,
        h: float | None = None,
    ) -> None:
        where = {"t": t, "step": step, "method": method, "h": h}
        known = ", ".join(f"{name}={value}" for name, value in where.items() if value is not None)
        super().__init__(f"{message} [{known}]" if known else message)
        self.t, self.step, self.method, self.h = t, step, method, h


class NonFiniteState(SolverError):
    """A drift, a diffusion or a state became NaN or infinite.

    Attributes:
        which: "drift", "diffusion" or "state".
        samples: indices of the paths concerned.
    """

    def __init__(
        self,
        message: str,
        *,
        which: str,
        samples: tuple[int, ...],
        t: float | None = None,
        step: int | None = None,
        method: str | None = None,
        h: float | None = None,
    ) -> None:
        super().__init__(message, t=t, step=step, method=method, h=h)
        self.which, self.samples = which, samples


class StepSizeUnderflow(SolverError):
    """The adaptive step fell below its minimum."""


class MaxStepsExceeded(SolverError):
    """More steps are needed than `max_steps` allows."""


class IncompatibleSolver(SolverError):
    """The solver does not fit the calculus or the noise of the SDE."""


class TimeGridError(SolverError, ValueError):
    """The times are not increasing, not finite, or outside the range of the noise."""


class BrownianMismatch(SolverError, ValueError):
    """The noise given has the wrong shape, dtype, device or lacks the space-time area."""


class SingularDiffusion(SolverError):
    """The drifts differ by more than the diffusion can produce, so their laws are singular."""


class UntrackedContext(SolverError):
    """A context tensor requires a gradient that the chosen method cannot give."""


_LISTED = 24


def nearest(name: object, known: Iterable[object]) -> str:
    """A hint naming the known word closest to `name`, for error messages.

    >>> nearest("tiem", ["time", "x"])
    "did you mean 'time'?"
    >>> nearest("zzz", ["time", "x"])
    'known: time, x'
    """
    words = list(map(str, known))
    match = difflib.get_close_matches(str(name), words, n=1, cutoff=0.5)
    if match:
        return f"did you mean '{match[0]}'?"
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return f"known: {', '.join(words[:_LISTED])}{more}"
