"""`import trajinfer` brings nothing with it, and no room needs an extra to be imported."""

import subprocess
import sys

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
