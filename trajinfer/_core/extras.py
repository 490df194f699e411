"""Optional dependencies, imported where they are used and never at import of the package."""

from __future__ import annotations

import importlib
from types import ModuleType

from trajinfer._core.errors import MissingExtra


def import_extra(module: str, extra: str) -> ModuleType:
    """Import `module` or say which extra brings it.

    Raises:
        MissingExtra: if the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing_extra(module.split(".", maxsplit=1)[0], extra) from error


def missing_extra(package: str, extra: str) -> MissingExtra:
    """The error that says which extra brings a package."""
    return MissingExtra(
        f"this needs {package}, which is not installed; try: pip install 'trajinfer[{extra}]'"
    )
