"""What is answered before large packages are imported: help, wrong options, files not there."""

import subprocess
import sys

import pytest

# Everything an answer may load besides the standard library: typer and what it stands on.
TYPER = {"typer", "click", "rich", "shellingham", "typing_extensions", "annotated_doc"}
TYPER |= {"pydantic", "pydantic_core", "annotated_types", "typing_inspection"}
ALLOWED = {"trajinfer", *TYPER}
ROOMS = {"__main__", "_core", "cli"}


def _loaded(folder, *arguments):
    """Exit code, output, and the modules loaded by a command in a process of its own.

    Modules that the interpreter loads at its start, whatever it runs, are left out.
    """
    code = (
        "import sys\n"
        "at_start = set(sys.modules)\n"
        f"sys.argv = ['trajinfer', *{list(map(str, arguments))!r}]\n"
        "from trajinfer.cli import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    code = end.code\n"
        "print('MODULES', code, *(set(sys.modules) - at_start))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    output, _, last = done.stdout.rpartition("MODULES ")
    exit_code, *modules = last.split()
    return int(exit_code), output + done.stderr, set(modules)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("--help",), 0, "Infer stochastic dynamics"),
        (("forecast", "--help"), 0, "--hold-out-after"),
        (("impute", "--help"), 0, "score_network"),
        (("anomaly", "table.csv", "--above", "high"), 2, "--above"),
        (("fit", "table.csv", "--tme", "day"), 2, "--tme"),
        (("fit",), 2, "data"),
        (("fitt",), 2, "fitt"),
        (("classify", "absent.csv"), 1, "there is no file absent.csv"),
        (("generate", "table.xlsx"), 1, "suffix"),
        (("hurst", "table.csv", "--config", "absent.toml"), 1, "cannot be read as TOML"),
        (("jumps", "table.csv", "--out", "precious"), 1, "not a result of trajinfer"),
        (("forecast", "table.csv", "--sep", "ab"), 1, "--sep"),
    ],
)
def test_an_answer_loads_nothing_large(tmp_path, arguments, exit_code, said):
    (tmp_path / "table.csv").write_text("id,time,x\n1,0,1\n")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("do not lose")
    code, output, modules = _loaded(tmp_path, *arguments)
    assert code == exit_code, output
    assert said in output
    loaded = {name.partition(".")[0] for name in modules}
    loaded = {name for name in loaded if not name.startswith("_")} - sys.stdlib_module_names
    assert loaded <= ALLOWED
    rooms = {name.split(".")[1] for name in modules if name.startswith("trajinfer.")}
    assert rooms <= ROOMS


def test_the_demo_speaks_before_it_loads(tmp_path):
    """Its first line comes before numpy, which everything large needs."""
    code = (
        "import sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name in ('numpy', 'torch', 'pandas'): raise SystemExit(f'STOPPED AT {name}')\n"
        "sys.meta_path.insert(0, Stop())\n"
        "sys.argv = ['trajinfer', 'demo']\n"
        "from trajinfer.cli import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    first, second = done.stderr.splitlines()[:2]
    assert first.startswith("1/2 gapminder")
    assert second.startswith("STOPPED AT")
