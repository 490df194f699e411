"""`trajinfer info`: what a report of a problem should contain."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import typer

from trajinfer.cli.console import show_json
from trajinfer.cli.options import Json

_REQUIRED = ("torch", "torchsde", "torchcde", "numpy", "pandas", "POT", "scikit-learn", "scipy")
_EXTRAS = {
    "plot": "matplotlib",
    "data": "pooch",
    "anndata": "anndata",
    "parquet": "pyarrow",
    "demo": "plotly",
}


def info(as_json: Json = False) -> None:
    """Print versions, devices, extras and the data that are there."""
    import torch

    document = {
        "trajinfer": version("trajinfer"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _REQUIRED},
        "extras": {extra: _version(name) for extra, name in _EXTRAS.items()},
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.is_available(),
        "devices": _devices(),
        "mps": torch.backends.mps.is_available(),
        **_data(),
    }
    show_json(document) if as_json else typer.echo(_text(document))


def _devices() -> list[str]:
    import torch

    cards = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    return ["cpu", *cards, *(["mps"] if torch.backends.mps.is_available() else [])]


def _data() -> dict[str, Any]:
    """Folders that are searched for data sets, and the data sets that are on this machine."""
    from trajinfer.datasets import available
    from trajinfer.datasets.files import data_folders, locate

    here = [info for info in available() if info.source == "shipped" or locate(info) is not None]
    return {
        "data_folders": [str(folder) for folder in data_folders()],
        "data": [info.name for info in here],
    }


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
        elif isinstance(value, list):
            lines.append(f"{key}: {', '.join(value) or 'none'}")
        else:
            lines.append(f"{key}: {value}")
    return "\n".join(lines)
