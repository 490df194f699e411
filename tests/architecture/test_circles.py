"""No two modules need each other, however late or for whatever reason they import one another."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES_OF_A_ROOM = 6500

# imports that close a circle -> why they are there
KNOWN = {
    ("trajinfer.data.trajectories", "trajinfer.plot"): "the shortcut Trajectories.plot()",
    ("trajinfer.data.forecast", "trajinfer.plot"): "the shortcut Forecast.plot()",
}


def modules(root):
    """Modules of the package below `root` by name."""
    found = {}
    for path in (root / "trajinfer").rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path, names):
    """Modules among `names` that a file imports anywhere, also in functions and for types only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in names or node.module in names:
                    yield whole if whole in names else node.module


@functools.cache
def graph(root):
    """What every module imports, itself left out."""
    files = modules(root)
    return {name: set(imports(path, files)) - {name} for name, path in files.items()}


def circles(edges):
    """Groups of modules each of which reaches all others: strongly connected components."""
    order, left = [], set(edges)
    while left:
        _walk(edges, left.pop(), left, order)
    back = {name: {other for other in edges if name in edges[other]} for name in edges}
    groups, left = [], set(edges)
    for name in reversed(order):
        if name in left:
            left.remove(name)
            group = []
            _walk(back, name, left, group)
            groups.append(sorted(group))
    return [group for group in groups if len(group) > 1]


def _walk(edges, start, left, order):
    """Append to `order` what can be reached in `left`, and the start, each after its own reach."""
    stack = [(start, iter(sorted(edges[start])))]
    while stack:
        name, others = stack[-1]
        step = next((other for other in others if other in left), None)
        if step is None:
            stack.pop()
            order.append(name)
        else:
            left.remove(step)
            stack.append((step, iter(sorted(edges[step]))))


def without(edges, cut):
    return {name: {o for o in others if (name, o) not in cut} for name, others in edges.items()}


def test_no_circle_but_the_known_ones():
    assert not circles(without(graph(ROOT), KNOWN))


@pytest.mark.parametrize(("importer", "imported"), KNOWN)
def test_known_circles_are_still_there(importer, imported):
    """An import that is gone, or closes no circle any more, leaves the list."""
    edges = graph(ROOT)
    assert imported in edges.get(importer, ()), "the import is gone: take it off the list"
    rest = without(edges, set(KNOWN) - {(importer, imported)})
    assert any({importer, imported} <= set(group) for group in circles(rest))


@pytest.mark.parametrize(
    "text",
    [
        "import trajinfer.pkg.b\n",
        "from trajinfer.pkg import b\n",
        "from trajinfer.pkg.b import thing\n",
        "def f():\n    from trajinfer.pkg.b import thing\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import trajinfer.pkg.b\n",
    ],
    ids=["plain", "module", "name", "in a function", "for types"],
)
def test_every_way_to_import_counts(tmp_path, text):
    folder = tmp_path / "trajinfer" / "pkg"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "a.py").write_text(text)
    (folder / "b.py").write_text("from trajinfer.pkg import c\n")
    (folder / "c.py").write_text("import trajinfer.pkg.a as a\n")
    (folder / "d.py").write_text("from trajinfer.pkg import a, b, c\n")
    names = [f"trajinfer.pkg.{letter}" for letter in "abc"]
    assert circles(graph(tmp_path)) == [names]


def test_rooms_stay_small():
    sizes = {
        room.name: sum(len(p.read_text(encoding="utf-8").splitlines()) for p in room.rglob("*.py"))
        for room in (ROOT / "trajinfer").iterdir()
        if room.is_dir()
    }
    too_large = {name: size for name, size in sizes.items() if size > MOST_LINES_OF_A_ROOM}
    assert not too_large
