"""`import trajinfer` brings nothing with it, and no room needs an extra to be imported."""

import ast
import subprocess
import sys
from pathlib import Path

import trajinfer

EXTRAS = ("matplotlib", "pooch", "plotly", "anndata", "pyarrow", "h5py", "xarray")
EXTRAS += ("sktime", "arviz_base")


def _python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_alone_loads_the_standard_library_alone():
    """Not even numpy or torch: names are looked up when they are first used."""
    out = _python(
        "import sys\n"
        "at_start = set(sys.modules)\n"
        "import trajinfer\n"
        "print(' '.join(set(sys.modules) - at_start))"
    )
    loaded = {name.partition(".")[0] for name in out.split()}
    assert loaded - sys.stdlib_module_names == {"trajinfer"}


def test_everything_imports_where_no_extra_is_installed():
    """Every room, with the extras made impossible to import; a figure then says what it needs."""
    out = _python(
        "import sys, importlib, pkgutil\n"
        f"sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"
        "sys.modules['matplotlib.pyplot'] = None\n"
        "import trajinfer\n"
        "for name in trajinfer.__all__: getattr(trajinfer, name)\n"
        "for found in pkgutil.walk_packages(trajinfer.__path__, 'trajinfer.'):\n"
        "    if found.name == 'trajinfer.adapters.sktime': continue  # its classes are sktime's\n"
        "    if not found.name.endswith('__main__'): importlib.import_module(found.name)\n"
        "try:\n"
        "    trajinfer.plot.snapshots(trajinfer.Snapshots([0, 1], [[[0.0, 1.0]], [[1.0, 2.0]]]))\n"
        "except ImportError as error: print(error)"
    )
    assert "pip install 'trajinfer[plot]'" in out


# what estimators are made of; the rest takes as long to load as many a fit
SMALL_PARTS = {"base", "exceptions", "utils"}


def test_parts_of_scikit_learn_are_loaded_where_they_are_used():
    """A worker that starts for a bootstrap does not load clusters and trees that it never asks.

    The rooms of evaluation are loaded when they are asked for.
    """
    package = Path(trajinfer.__file__).parent
    found = {
        f"{path.relative_to(package)}: {node.module}"
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] not in ("evaluation", "adapters")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn.")
        if node.module.split(".")[1] not in SMALL_PARTS
    }
    assert found == set()
