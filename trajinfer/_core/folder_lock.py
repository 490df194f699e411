"""One process at a time in a folder; the lock ends with its process, however that ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trajinfer._core.errors import InputError, StorageError

_NAME = ".lock"

if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder for the length of a block.

    Raises:
        InputError: if another fit holds it, of this process or of another.
        StorageError: if the folder cannot be written.
    """
    try:
        handle = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written ({error.strerror}); choose a folder that can be written"
        ) from error
    try:
        try:
            _take(handle)
        except OSError as error:
            holder = os.pread(handle, 32, 0).decode() if hasattr(os, "pread") else ""
            raise InputError(
                f"{folder} is in use by another fit (process {holder or 'unknown'}); wait for it "
                "or choose another folder"
            ) from error
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)
