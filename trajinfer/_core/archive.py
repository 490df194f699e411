"""Saved models: a folder with `config.json` and `model.safetensors`, written whole or not at all.

Nothing is pickled. A checksum of both files tells a model that was changed or damaged from the one
that was saved. A folder is written beside its target under a temporary name and moved into place at
the end, so that an interrupted save leaves what was there before.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from trajinfer._core.errors import InputError

FORMAT = 2
_CONFIG, _TENSORS = "config.json", "model.safetensors"
_CHECKSUM, _SEALED_SINCE = "checksum", 2


def write_folder(path: str | Path, fill: Callable[[Path], None]) -> Path:
    """Create or replace the folder `path` by what `fill` writes, all or nothing."""
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file; give the name of a folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        fill(scratch)
        _replace(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _replace(scratch: Path, target: Path) -> None:
    scratch.chmod(0o755)
    if not target.exists():
        scratch.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    target.rename(old / target.name)
    try:
        scratch.rename(target)
    except OSError:
        (old / target.name).rename(target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in one move, so that no half-written file is left behind."""
    target = Path(path)
    handle, scratch = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(scratch).chmod(0o644)
        Path(scratch).replace(target)
    finally:
        Path(scratch).unlink(missing_ok=True)


def save_archive(
    path: str | Path, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]
) -> Path:
    """Write a model folder.

    Args:
        path: the folder; an existing one that holds a saved model is replaced, any other is kept.
        config: what JSON can hold; package versions are added.
        tensors: the arrays.

    Raises:
        InputError: if the folder exists and is not a saved model.
    """
    target = Path(path)
    if target.is_dir() and any(target.iterdir()) and not (target / _CONFIG).is_file():
        raise InputError(f"{target} exists and is not a saved model; choose another name")
    header = {
        "format": FORMAT,
        "versions": {"trajinfer": version("trajinfer"), "torch": torch.__version__},
    }
    document = json.loads(json.dumps({**header, **config}))
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}

    def fill(folder: Path) -> None:
        safetensors.torch.save_file(plain, folder / _TENSORS)
        sealed = document | {_CHECKSUM: checksum(document, folder)}
        (folder / _CONFIG).write_text(json.dumps(sealed, indent=2), encoding="utf-8")

    return write_folder(target, fill)


def checksum(config: Mapping[str, Any], folder: Path) -> str:
    """SHA-256 of a configuration without its checksum, and of the file of tensors beside it."""
    entries = {name: value for name, value in config.items() if name != _CHECKSUM}
    found = hashlib.sha256(json.dumps(entries, sort_keys=True).encode())
    with (folder / _TENSORS).open("rb") as file:
        while part := file.read(1 << 20):
            found.update(part)
    return found.hexdigest()


def read_archive(path: str | Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read a model folder written by `save_archive`.

    Raises:
        InputError: if the folder is missing, incomplete, damaged, changed after it was saved, or
            of a newer format.
    """
    folder = Path(path)
    if not (folder / _CONFIG).is_file():
        raise InputError(f"{folder} holds no {_CONFIG}; give the folder that `save` wrote")
    try:
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        tensors = safetensors.torch.load_file(folder / _TENSORS)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise InputError(f"{folder} is damaged or incomplete ({error}); save it again") from error
    written = config.get("format") if isinstance(config, dict) else None
    if not isinstance(written, int):
        raise InputError(f"{folder} is not a model that trajinfer saved; save it again")
    if written > FORMAT:
        raise InputError(
            f"{folder} was written in format {written}, newer than {FORMAT}; update trajinfer"
        )
    if written >= _SEALED_SINCE and config.get(_CHECKSUM) != checksum(config, folder):
        raise InputError(
            f"{folder} is not as it was saved: its checksum is another; restore it from a copy, or "
            "fit and save again"
        )
    return config, tensors
