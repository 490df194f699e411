"""What is answered before large packages are imported: help, wrong options, files not there."""

import json
import subprocess
import sys

import pytest

# Everything an answer may load besides the standard library: typer and what it stands on.
TYPER = {"typer", "click", "rich", "shellingham", "typing_extensions", "annotated_doc"}
TYPER |= {"pydantic", "pydantic_core", "annotated_types", "typing_inspection"}
ALLOWED = {"trajinfer", *TYPER}
ROOMS = {"__main__", "_core", "cli"}


ASKED = {
    "help": (("--help",), 0, "Infer stochastic dynamics"),
    "help of a command": (("forecast", "--help"), 0, "--hold-out-after"),
    "names of models": (("impute", "--help"), 0, "score_network"),
    "a word for a number": (("anomaly", "table.csv", "--above", "high"), 2, "--above"),
    "a wrong option": (("fit", "table.csv", "--tme", "day"), 2, "--tme"),
    "no table": (("fit",), 2, "data"),
    "no command": (("fitt",), 2, "fitt"),
    "an absent table": (("classify", "absent.csv"), 1, "there is no file absent.csv"),
    "another kind of file": (("generate", "table.xlsx"), 1, "suffix"),
    "absent settings": (
        ("hurst", "table.csv", "--config", "absent.toml"),
        1,
        "cannot be read as TOML",
    ),
    "a folder of others": (
        ("jumps", "table.csv", "--out", "precious"),
        1,
        "not a result of trajinfer",
    ),
    "a long separator": (("forecast", "table.csv", "--sep", "ab"), 1, "--sep"),
}

# Modules that the interpreter loads at its start, whatever it runs, are left out; of the others
# every command names those that it was the first to load.
RUN = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
before, told = set(sys.modules), {}
from trajinfer.cli import main
for name, arguments in json.loads(sys.argv[1]).items():
    sys.argv, said, code = ["trajinfer", *arguments], io.StringIO(), None
    try:
        with redirect_stdout(said), redirect_stderr(said):
            main()
    except SystemExit as end:
        code = end.code
    told[name] = [code, said.getvalue(), sorted(set(sys.modules) - before)]
    before = set(sys.modules)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Exit code, output and modules of each, one after another in a process of their own."""
    folder = tmp_path_factory.mktemp("light")
    (folder / "table.csv").write_text("id,time,x\n1,0,1\n")
    (folder / "precious").mkdir()
    (folder / "precious" / "thesis.txt").write_text("do not lose")
    given = json.dumps({name: arguments for name, (arguments, _, _) in ASKED.items()})
    done = subprocess.run(
        [sys.executable, "-c", RUN, given], capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ASKED)
def test_an_answer_loads_nothing_large(told, name):
    code, output, modules = told[name]
    _, exit_code, said = ASKED[name]
    assert code == exit_code, output
    assert said in output
    loaded = {module.partition(".")[0] for module in modules}
    loaded = {module for module in loaded if not module.startswith("_")}
    assert loaded - sys.stdlib_module_names <= ALLOWED
    rooms = {module.split(".")[1] for module in modules if module.startswith("trajinfer.")}
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
