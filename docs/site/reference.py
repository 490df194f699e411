"""Pages of the reference: one per room, one per public name, written from `__all__`."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import capabilities

import trajinfer


def write(folder: Path) -> None:
    """Write the reference into a folder of the sources; a page that did not change stays."""
    folder.mkdir(exist_ok=True)
    pages = {"index": _index(), "capabilities": capabilities.page()}
    for module in modules():
        pages[module.__name__] = _room(module)
        pages |= {
            page(module, name): _entry(module, name)
            for name in public_names(module)
            if home(module, name) is module
        }
    for stale in folder.glob("*.rst"):
        if stale.stem not in pages:
            stale.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def modules() -> list[ModuleType]:
    """The package, and the rooms that can be imported from it."""
    members = (getattr(trajinfer, name) for name in trajinfer.__all__)
    return [trajinfer, *(member for member in members if inspect.ismodule(member))]


def is_foreign(member: Any) -> bool | None:
    """True for what a class inherits from other libraries: they document it themselves."""
    module = getattr(getattr(member, "fget", None) or member, "__module__", None) or "trajinfer"
    return None if module.startswith("trajinfer") else True


def public_names(module: ModuleType) -> list[str]:
    """Public names of a module that are not rooms, in the order of the alphabet."""
    own = (name for name in module.__all__ if not name.startswith("__"))
    return sorted(
        (name for name in own if not inspect.ismodule(getattr(module, name))), key=str.lower
    )


def home(module: ModuleType, name: str) -> ModuleType:
    """Where a name has its page: at the top, if it can be imported from there."""
    return trajinfer if getattr(trajinfer, name, None) is getattr(module, name) else module


def page(module: ModuleType, name: str) -> str:
    """Name of the page of a public name, without suffix."""
    # two names that differ in case only need two files where the disk does not tell cases apart
    twins = [n for n in public_names(module) if n.lower() == name.lower()]
    suffix = "" if len(twins) == 1 or name[0].islower() else "-class"
    return f"{module.__name__}.{name}{suffix}"


def _heading(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n\n"


def _tree(pages: list[str], depth: int) -> str:
    return f".. toctree::\n   :maxdepth: {depth}\n\n" + "".join(f"   {page}\n" for page in pages)


def _index() -> str:
    opening = "Every public name, by the room it is imported from.\n\n"
    return _heading("Reference") + opening + _tree([m.__name__ for m in modules()], 1)


def _room(module: ModuleType) -> str:
    summary = f".. automodule:: {module.__name__}\n   :no-members:\n\n"
    return (
        _heading(module.__name__)
        + summary
        + _tree([page(home(module, name), name) for name in public_names(module)], 1)
    )


def _entry(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    target = f"{module.__name__}.{name}"
    head = _heading(name)
    if inspect.isclass(value):
        options = "   :members:\n   :inherited-members: object\n"
        return f"{head}.. autoclass:: {target}\n{options}"
    directive = "autofunction" if callable(value) and inspect.isroutine(value) else "autodata"
    return f"{head}.. {directive}:: {target}\n"
