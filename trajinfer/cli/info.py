"""`trajinfer info`: what a report of a problem should contain."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
import typer

from trajinfer.cli import options
from trajinfer.cli.console import show_json

_REQUIRED = ("torch", "torchsde", "torchcde", "numpy", "pandas", "POT", "scikit-learn", "scipy")
_EXTRAS = {
    "plot": "matplotlib",
    "data": "pooch",
    "anndata": "anndata",
    "parquet": "pyarrow",
    "demo": "plotly",
}


def info(as_json: options.Json = False) -> None:
    """Print versions, devices and extras."""
    document = {
        "trajinfer": version("trajinfer"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _REQUIRED},
        "extras": {extra: _version(name) for extra, name in _EXTRAS.items()},
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    show_json(document) if as_json else typer.echo(_text(document))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _text(document: dict[str, Any]) -> str:
    lines = []
    for key, value in document.items():
        if isinstance(value, dict):
            inner = ", ".join(f"{k} {v or 'not installed'}" for k, v in value.items())
            lines.append(f"{key}: {inner}")
        else:
            lines.append(f"{key}: {value}")
    return "\n".join(lines)
