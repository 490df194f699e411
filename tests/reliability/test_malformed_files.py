"""Whatever is wrong with a file: a result, or one line that says what to do, and exit code 1."""

import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.reliability import mistakes
from trajinfer.cli import app

COMMANDS = {
    "fit": (mistakes.snapshot_table, ["--time", "t"]),
    "jumps": (mistakes.jump_table, ["--id", "id", "--time", "t", "--state", "s"]),
    "hurst": (mistakes.series_table, []),
}


def _written(table, path, rng):
    """The mistakes made, having written the table with them."""
    names = []
    if rng.random() < 0.5:
        names.append(str(rng.choice(list(mistakes.IN_FILES))))
        table = mistakes.IN_FILES[names[-1]](table, rng)
    text = table.to_csv(index=False).encode()
    if rng.random() < 0.7 or not names:
        names.append(str(rng.choice(list(mistakes.BYTES))))
        text = mistakes.BYTES[names[-1]](text, rng)
    path.write_bytes(text)
    return names


def _check(command, n, seed, tmp_path):
    table, options = COMMANDS[command]
    rng = np.random.default_rng(seed)
    codes = set()
    for k in range(n):
        path = tmp_path / f"table{k}.csv"
        names = _written(table(rng), path, rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = CliRunner().invoke(app, [command, str(path), *options, "--out", f"out{k}"])
        assert isinstance(result.exception, SystemExit | None), (names, result.exception)
        assert result.exit_code in (0, 1, 3), (names, result.output)
        assert "Traceback" not in result.output, names
        if result.exit_code == 1:
            assert "error: " in result.output, names
        codes.add(result.exit_code)
    assert 1 in codes


def test_a_command_reads_or_refuses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _check("hurst", 30, 0, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_many_files_at_every_command(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _check(command, 120, 1, tmp_path)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("semicolons", "--sep ';'"),
        ("tabs", r"--sep '\t'"),
        ("utf-16", "--encoding utf-16"),
        ("empty", "is empty"),
    ],
)
def test_the_remedy_of_a_file_is_named(name, says, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "table.csv"
    text = mistakes.snapshot_table(rng).to_csv(index=False).encode()
    path.write_bytes(mistakes.BYTES[name](text, rng))
    result = CliRunner().invoke(
        app, ["fit", str(path), "--time", "t", "--out", str(tmp_path / "o")]
    )
    assert result.exit_code == 1
    assert says in result.output


def test_a_folder_is_no_file(tmp_path):
    folder = tmp_path / "table.csv"
    folder.mkdir()
    result = CliRunner().invoke(app, ["hurst", str(folder)])
    assert "is a folder; name a file in it" in result.output
