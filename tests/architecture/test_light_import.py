"""`import trajinfer` brings no extra with it, and next to nothing else."""

import subprocess
import sys

EXTRAS = ("matplotlib", "pooch", "plotly", "anndata", "pyarrow", "h5py")


def _python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_alone_loads_nothing_heavy(record_property):
    out = _python(
        "import sys, time, torch\n"
        "before, start = set(sys.modules), time.perf_counter()\n"
        "import trajinfer\n"
        "print(time.perf_counter() - start)\n"
        "print(' '.join(set(sys.modules) - before))\n"
        "import trajinfer.plot\n"
        "print('matplotlib' in sys.modules)"
    )
    seconds, modules, plots = out.splitlines()
    record_property("seconds_beyond_torch", float(seconds))
    loaded = {name.partition(".")[0] for name in modules.split()}
    assert not loaded & {*EXTRAS, "ot", "pandas", "sklearn", "scipy", "typer"}
    assert plots == "False", "importing the room of figures imports no matplotlib"


def test_everything_imports_where_no_extra_is_installed():
    """Every room, with the extras made impossible to import; a figure then says what it needs."""
    out = _python(
        "import sys, importlib, pkgutil\n"
        f"sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"
        "sys.modules['matplotlib.pyplot'] = None\n"
        "import trajinfer\n"
        "for name in trajinfer.__all__: getattr(trajinfer, name)\n"
        "for found in pkgutil.walk_packages(trajinfer.__path__, 'trajinfer.'):\n"
        "    if not found.name.endswith('__main__'): importlib.import_module(found.name)\n"
        "try:\n"
        "    trajinfer.plot.snapshots(trajinfer.Snapshots([0, 1], [[[0.0, 1.0]], [[1.0, 2.0]]]))\n"
        "except ImportError as error: print(error)"
    )
    assert "pip install 'trajinfer[plot]'" in out
