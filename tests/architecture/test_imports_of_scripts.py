"""Scripts of the examples find what they import from one another and from the package."""

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

FOLDERS = [Path(__file__).parents[2] / "examples" / name for name in ("", "reproduce")]
SCRIPTS = {path.stem: path for folder in FOLDERS for path in sorted(folder.glob("*.py"))}


def top_names(script):
    """What a script defines or imports at its top."""
    names = set()
    for node in ast.parse(script.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names |= {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    return names


def missing(script):
    """Names that are imported and not there."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        for alias in node.names:
            if node.module in SCRIPTS:
                found = alias.name in top_names(SCRIPTS[node.module])
            elif node.module.split(".")[0] == "trajinfer":
                module = importlib.import_module(node.module)
                found = hasattr(module, alias.name) or _is_module(f"{node.module}.{alias.name}")
            else:
                continue
            if not found:
                yield f"{script.name}: {alias.name} of {node.module}"


def _is_module(name):
    return importlib.util.find_spec(name) is not None


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_what_is_imported_is_there(script):
    assert [*missing(script)] == []


def test_a_name_that_is_gone_is_noticed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from generated_tables import gone\nfrom trajinfer import Nothing\n")
    assert [*missing(script)] == [
        "script.py: gone of generated_tables",
        "script.py: Nothing of trajinfer",
    ]
