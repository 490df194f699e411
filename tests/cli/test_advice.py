"""Whatever the library advises reaches a user of the command line as an option that is there."""

import ast
import inspect
import re
import shlex
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

import trajinfer
from trajinfer import fractional
from trajinfer.cli import advice, anomaly, app, classify, forecast, generate, impute, jumps
from trajinfer.cli.settings import assign

COMMANDS = typer.main.get_command(app).commands
_MODELS = {
    "forecast": forecast.MODELS,
    "impute": impute.MODELS,
    "classify": classify.MODELS,
    "generate": generate.MODELS,
    "anomaly": anomaly.SCORE,
    "jumps": {"jumps": jumps.MODEL},
}
ESTIMATORS = {
    "fit": {"SchrodingerBridge"},
    "evaluate": {"SchrodingerBridge"},
    **{name: {model.estimator for model in models.values()} for name, models in _MODELS.items()},
}
_WORD = re.compile(r"\b([a-z_]+)=('[^']*'|\"[^\"]*\"|True|False|None|\(\)|[0-9.]+\b)")


def vocabulary(command, settings=()):
    return advice.Vocabulary(advice.Vocabulary.of(COMMANDS[command]).options, settings)


@cache
def words_of_messages():
    """Every `name=value` that a text of the library holds, docstrings left out."""
    found = set()
    for path in Path(trajinfer.__file__).parent.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        texts = [node.value for node in nodes if _is_text(node) and id(node) not in docs]
        found |= set(_WORD.findall("\n".join(text for text in texts if " " in text)))
    return sorted(found)


def _is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def settings_of(command):
    """The constructor arguments that the command's estimators take."""
    return {
        name
        for estimator in ESTIMATORS[command]
        for name in inspect.signature(getattr(trajinfer, estimator)).parameters
    }


@pytest.mark.parametrize("command", ESTIMATORS)
def test_every_setting_that_is_advised_can_be_typed(command):
    """`--set name=value` gives the value that the text of the library names."""
    settings = settings_of(command)
    advised = [pair for pair in words_of_messages() if pair[0] in settings]
    assert advised
    for name, value in advised:
        said = vocabulary(command, settings).speak(f"give {name}={value}, or less")
        if value == "None":
            assert said == f"give {name} unset, or less"
            continue
        typed = shlex.split(said.removeprefix("give ").removesuffix(", or less"))
        taken = {}
        assert typed[0] == "--set"
        assign(taken, typed[1])
        wanted = ast.literal_eval(value)
        assert taken == {name: list(wanted) if wanted == () else wanted}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_that_is_an_option_is_called_by_it(command):
    """The option that is named parses, and its value is the one that was advised."""
    known = vocabulary(command)
    with COMMANDS[command].make_context(command, [], resilient_parsing=True) as context:
        parser = COMMANDS[command].make_parser(context)
        for name, option in known.options.items():
            value = True if option.is_flag else "a word"
            typed = shlex.split(known.speak(f"give {name}={value!r}").removeprefix("give "))
            taken, rest, _ = parser.parse_args(typed)
            assert rest == []
            assert taken[name] in (value, [value])


def test_a_setting_that_only_shares_the_name_of_an_option_is_set():
    """`--model` chooses a model by name; `model="network"` is an argument of one."""
    said = vocabulary("generate", {"model"}).speak("use model='mixture'")
    assert said == "use --set model=mixture"


@pytest.mark.parametrize(
    "text",
    [
        "read it with IrregularSeries.from_frame(df, id=..., time=..., f(level=1))",
        "say --set level=0.5",
        "a state such as x=0.3, level==2",
        "under level=",
    ],
)
def test_python_and_our_own_words_stay(text):
    spoken = vocabulary("hurst", {"level"}).speak(text)
    assert spoken == text.replace("under level=", "under --set level=")


def test_a_flag_can_be_off():
    known = vocabulary("hurst")
    assert known.speak("x (increments=False)") == "x (no --increments)"
    assert known.speak("take figures=False or level=None") == "take --no-figures or --level unset"


def test_warnings_and_errors_of_a_command_name_its_options(tmp_path, run, fails):
    noise = fractional.simulate_fgn(0.8, 400, random_state=0)[0]
    frame = pd.DataFrame({"flow": noise, "gaps": np.where(noise > 1, np.nan, noise)})
    frame.to_csv(tmp_path / "rivers.csv", index=False)
    asked = ("hurst", tmp_path / "rivers.csv", "--no-figures", "--report")
    warned = run(*asked, "--channels", "flow", "--out", tmp_path / "h")
    assert "give --increments\n" in warned.stderr
    assert "give --increments<" in (tmp_path / "h" / "report.html").read_text()
    followed = run(*asked, "--channels", "flow", "--increments", "--out", tmp_path / "h")
    assert "warning:" not in followed.stderr
    refused = fails(*asked, "--channels", "gaps", "--out", tmp_path / "h")
    assert "(no --increments) to --method mle or --method state_space" in refused
    again = ("--channels", "gaps", "--method", "mle", "--out", tmp_path / "h")
    assert run(*asked, *again).exit_code == 0


def test_a_setting_of_an_estimator_is_advised_as_one(tmp_path, fails):
    values = {"id": np.repeat(np.arange(30), 4), "time": np.tile([0.0, 1, 2, 4], 30)}
    table = pd.DataFrame({**values, "x": np.random.default_rng(0).normal(size=120)})
    table.to_csv(tmp_path / "table.csv", index=False)
    said = fails(
        "generate", tmp_path / "table.csv", "--transform", "relative", "--out", tmp_path / "o"
    )
    assert "--transform standard" in said
    said = fails("impute", tmp_path / "table.csv", "--set", "hidden=a", "--out", tmp_path / "o")
    assert "hidden" in said


def test_words_end_with_the_command(tmp_path, fails):
    fails("hurst", tmp_path / "absent.csv")
    assert advice.spoken("give increments=True") == "give increments=True"
