"""Work that a fit has done already, in a folder, so that a fit that was killed goes on from there.

A fit asks for its long pieces (a fold, a search, a round, a block of draws) by `once`: a piece that
the open folder holds is read, any other is made and written. The pieces of a fit are met in the
same order whenever it is repeated, so that its place in that order is the name of a piece. The open
folder belongs to the context of the call, not to its arguments: pieces lie ten calls below `fit`,
in rooms that know of no estimator.

Every piece is one file of safetensors with JSON in its header, written beside its name and renamed:
a process that is killed leaves whole pieces only. Of processes that `torchrun` started together the
first one writes, and all read: none gets past a training that another one has not finished.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch

from trajinfer._core.errors import InputError, StorageError
from trajinfer._core.fingerprint import fingerprint
from trajinfer._core.folder_lock import folder_lock
from trajinfer._core.packing import pack, unpack
from trajinfer._core.process_group import is_first_process

FORMAT = 1
_HEADER, _SUFFIX, _SCRATCH = "checkpoint.json", ".safetensors", ".scratch"
Result = TypeVar("Result")
Content = tuple[dict[str, Any], dict[str, torch.Tensor]]


@dataclass
class CheckpointFolder:
    """Pieces of one fit.

    Attributes:
        path: the folder.
        within: the place whose pieces are asked for at present; "" at the top.
        met: how often every kind of piece was met there.
    """

    path: Path
    within: str = ""
    met: Counter[str] = field(default_factory=Counter)

    def next_place(self, kind: str) -> str:
        """The place of the piece that is met now."""
        number = self.met[kind]
        self.met[kind] += 1
        name = re.sub(r"\W+", "-", kind)
        return f"{self.within}{name}-{number}"

    def file(self, place: str) -> Path:
        """The file of a place."""
        return self.path / f"{place}{_SUFFIX}"

    def read(self, place: str) -> tuple[Any] | None:
        """The piece at a place, alone in a tuple; None where there is none."""
        found = read_content(self.file(place))
        return None if found is None else (unpack(found[0]["piece"], found[1]),)

    def write(self, place: str, piece: Any) -> None:
        """Keep a piece; what was kept on the way to it is no longer needed."""
        if not is_first_process():
            return
        tensors: dict[str, torch.Tensor] = {}
        write_content(self.file(place), {"piece": pack(piece, tensors, "piece")}, tensors)
        for inner in self.path.glob(f"{place}.*{_SUFFIX}"):
            inner.unlink(missing_ok=True)

    def below(self, place: str) -> CheckpointFolder:
        """The same folder, for the pieces on the way to a piece."""
        return CheckpointFolder(self.path, f"{place}.")


_OPEN: ContextVar[CheckpointFolder | None] = ContextVar("open checkpoint folder", default=None)


def open_folder() -> CheckpointFolder | None:
    """The folder of the fit that is under way in this context."""
    return _OPEN.get()


@contextmanager
def using(folder: CheckpointFolder | None) -> Iterator[None]:
    """Keep the pieces of a block in a folder; with None in none."""
    token = _OPEN.set(folder)
    try:
        yield
    finally:
        _OPEN.reset(token)


def once(kind: str, function: Callable[..., Result], *args: Any) -> Result:
    """What a function gives: read from the open folder, or made, and kept there.

    Without an open folder it is an ordinary call. Nothing else may depend on the call: a piece
    that is read draws from no generator and changes no argument.

    Args:
        kind: what the piece is, such as "trees"; its number among those of a kind is counted.
        function: gives what `pack` can write.
        args: of the function.

    Raises:
        InputError: if the piece is damaged.
        StorageError: if it cannot be written.
    """
    folder = _OPEN.get()
    if folder is None:
        return function(*args)
    place = folder.next_place(kind)
    found = folder.read(place)
    if found is not None:
        result: Result = found[0]
        return result
    with using(folder.below(place)):
        result = function(*args)
    folder.write(place, result)
    return result


@contextmanager
def checkpointed(
    path: str | Path | None, work: str, identity: Callable[[], Mapping[str, Any]]
) -> Iterator[None]:
    """Keep the pieces of a block in the folder `path`.

    With None nothing is kept; inside of another fit the pieces go to its folder.

    Args:
        path: made where it is missing.
        work: what is done, such as the name of an estimator.
        identity: () -> everything that the result depends on, by name.

    Raises:
        InputError: if the folder holds the pieces of other work or of another version, or another
            process works there.
        StorageError: if the folder cannot be written.
    """
    if path is None or _OPEN.get() is not None:
        yield
        return
    folder = Path(path).expanduser()
    with _held(folder) if is_first_process() else nullcontext(), using(CheckpointFolder(folder)):
        _require_same(folder, work, {name: fingerprint(v) for name, v in identity().items()})
        yield


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """A folder that is there, and in which this process alone writes."""
    with folder_lock(_made(folder)):
        for scratch in folder.glob(f".*{_SCRATCH}"):  # of a process that was killed
            scratch.unlink(missing_ok=True)
        yield


def _made(folder: Path) -> Path:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"checkpoint={str(folder)!r} is a file; give the name of a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error
    if any(folder.iterdir()) and not (folder / _HEADER).is_file():
        others = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
        if others:
            raise InputError(
                f"{folder} exists and is no checkpoint (it holds {others[0]}); give the name of a "
                "new folder, or one that a checkpoint was written to"
            )
    return folder


def _require_same(folder: Path, work: str, identity: Mapping[str, str]) -> None:
    """Write what the work is, or compare it with what stands there."""
    versions = {"trajinfer": version("trajinfer"), "torch": torch.__version__}
    wanted = {"format": FORMAT, "work": work, "versions": versions, "identity": dict(identity)}
    header = folder / _HEADER
    if not header.is_file():
        if is_first_process():
            write_bytes(header, json.dumps(wanted, indent=2).encode())
        return
    try:
        found = json.loads(header.read_text(encoding="utf-8"))
        other = [name for name, value in identity.items() if found["identity"].get(name) != value]
        other += [name for name in found["identity"] if name not in identity]
        written = found["work"], found["format"], found["versions"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{header} is damaged ({error}); remove the folder to begin anew"
        ) from error
    remedy = "choose another folder, or remove it to begin anew"
    if written[0] != work:
        raise InputError(f"{folder} is the checkpoint of {written[0]}, not of {work}; {remedy}")
    if written[1:] != (FORMAT, versions):
        raise InputError(
            f"{folder} was written by other versions ({written[2]}, format {written[1]}) than "
            f"these ({versions}, format {FORMAT}), whose numbers may differ; go on with those, or "
            "remove it to begin anew"
        )
    if other:
        raise InputError(
            f"{folder} is the checkpoint of another fit: {', '.join(other)} differ; {remedy}"
        )


def read_content(file: Path) -> Content | None:
    """JSON and tensors of a file; None where there is none.

    Raises:
        InputError: if the file is damaged.
    """
    try:
        with safetensors.safe_open(file, "pt") as opened:
            content = json.loads(opened.metadata()["content"])
            return content, {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise InputError(
            f"{file} is damaged ({error}); remove this file alone: the fit then repeats this piece "
            "and keeps all others"
        ) from error


def write_content(file: Path, content: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
    """Write JSON and tensors to a file in one move.

    Raises:
        StorageError: if there is no room or no permission; what was there before is kept.
    """
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_bytes(file, safetensors.torch.save(plain, {"content": json.dumps(content)}))


def write_bytes(file: Path, content: bytes) -> None:
    """Write a file in one move.

    Raises:
        StorageError: if there is no room or no permission; what was there before is kept.
    """
    scratch = file.with_name(f".{file.name}{_SCRATCH}")
    try:
        with scratch.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(file)
    except OSError as error:
        raise storage_error(file, error) from error
    finally:
        if scratch.exists():
            scratch.unlink()


def storage_error(path: Path, error: OSError) -> StorageError:
    """The error of a file that cannot be written, with a remedy."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    remedy = "make room" if full else "choose a folder that can be written"
    return StorageError(
        f"{path} cannot be written ({error.strerror or error}); {remedy} and call again: what was "
        "written before is kept"
    )
