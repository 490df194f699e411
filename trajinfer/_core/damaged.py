"""Files that other libraries read, whose readers promise no kind of error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trajinfer._core.errors import InputError, TrajinferError

_LONGEST = 300


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever a reader says of a damaged file, as one error of ours."""
    try:
        yield
    except TrajinferError:
        raise
    except Exception as error:  # a damaged length asks for any amount of memory
        words = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
        raise InputError(
            f"{path} cannot be read: {words}; it is damaged, or no {path.suffix[1:]}: write it "
            "again, or take another file"
        ) from error
