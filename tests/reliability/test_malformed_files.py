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
        name = str(rng.choice(list(mistakes.IN_FILES)))
        try:
            table = mistakes.IN_FILES[name](table, rng)
            names.append(name)
        except ValueError:  # pandas puts no list into this column
            pass
    text = table.to_csv(index=False).encode()
    if rng.random() < 0.7 or not names:
        names.append(str(rng.choice(list(mistakes.BYTES))))
        text = mistakes.BYTES[names[-1]](text, rng)
    path.write_bytes(text)
    return names


def _as_parquet(table, path):
    pytest.importorskip("pyarrow")
    table.to_parquet(path)


def _as_npz(table, path):
    np.savez(path, X=table[["x", "y"]].to_numpy(), t=table["t"].to_numpy())


def _as_h5ad(table, path):
    anndata = pytest.importorskip("anndata")
    cells = table[["t"]].set_axis([f"c{k}" for k in range(len(table))])
    anndata.AnnData(table[["x", "y"]].to_numpy(), obs=cells).write_h5ad(path)


BINARY = {
    "parquet": (_as_parquet, ["--time", "t"]),
    "npz": (_as_npz, []),
    "h5ad": (_as_h5ad, ["--time", "t", "--use-rep", "X"]),
}


def _ended(result, names):
    """One line of ours and exit code 1, or a result; the exit code."""
    assert isinstance(result.exception, SystemExit | None), (names, result.exception)
    assert result.exit_code in (0, 1, 3), (names, result.output)
    assert "Traceback" not in result.output, names
    if result.exit_code == 1:
        assert "error: " in result.output, names
    return result.exit_code


def _check_binary(kind, n, seed, tmp_path):
    write, options = BINARY[kind]
    rng = np.random.default_rng(seed)
    path = tmp_path / f"table.{kind}"
    write(mistakes.snapshot_table(rng), path)
    whole, codes = path.read_bytes(), []
    command = ["fit", str(path), *options, "--set", "n_refinements=0", "--out", str(tmp_path / "o")]
    for k in range(n + 1):
        name = "nothing" if k == 0 else str(rng.choice(list(mistakes.BINARY)))
        path.write_bytes(whole if k == 0 else mistakes.BINARY[name](whole, rng))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            codes.append(_ended(CliRunner().invoke(app, command), name))
    assert codes[0] == 0  # nothing was done to the first
    assert codes.count(1) > n / 4  # some bytes change a value and nothing else


def _check(command, n, seed, tmp_path):
    table, options = COMMANDS[command]
    rng = np.random.default_rng(seed)
    codes = set()
    for k in range(n):
        path = tmp_path / f"table{k}.csv"
        names = _written(table(rng), path, rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = CliRunner().invoke(
                app, [command, str(path), *options, "--no-figures", "--out", f"out{k}"]
            )
        codes.add(_ended(result, names))
    assert 1 in codes


def test_a_command_reads_or_refuses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _check("hurst", 30, 0, tmp_path)


@pytest.mark.parametrize("kind", BINARY)
def test_a_damaged_file_of_another_format_is_refused(kind, tmp_path):
    _check_binary(kind, 5, 0, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", BINARY)
def test_five_hundred_damaged_files_of_other_formats(kind, tmp_path):
    _check_binary(kind, 500, 1, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_five_hundred_files_at_every_command(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _check(command, 500, 1, tmp_path)


SETTINGS = """# trajinfer fit table.csv
[SchrodingerBridge]
n_refinements = 0
volatility = [0.5, 0.25]
random_state = 3

[SchrodingerBridge.reference]
name = "brownian"
"""
VALUES = ("0", "-1", "1e400", "nan", "inf", "true", '""', '"x"', "[]", "[1, 'a']", "{}", "{a = 1}")
VALUES += ("1979-05-27", "9" * 30, "[[1], [2, 3]]", '"brownian"', '"\\u0000"')


def _other_value(text, rng):
    """Another value, or another key, in one line of the settings."""
    lines = text.decode().split("\n")
    k = rng.choice([k for k, line in enumerate(lines) if "=" in line])
    key, value = lines[k].split(" = ")
    other = str(rng.choice(VALUES))
    lines[k] = f"{key} = {other}" if rng.random() < 0.7 else f"{other} = {value}"
    return "\n".join(lines).encode()


IN_SETTINGS = mistakes.BYTES | mistakes.BINARY | {"value": _other_value}


def _check_settings(n, seed, tmp_path):
    rng = np.random.default_rng(seed)
    table, path = tmp_path / "table.csv", tmp_path / "config.toml"
    mistakes.snapshot_table(rng).to_csv(table, index=False)
    command = ["fit", str(table), "--time", "t", "--no-figures", "--out", str(tmp_path / "o")]
    codes = []
    for k in range(n + 1):
        name, text = "nothing", SETTINGS.encode()
        if k:
            name = "value" if rng.random() < 0.5 else str(rng.choice(list(IN_SETTINGS)))
            text = IN_SETTINGS[name](text, rng)
        path.write_bytes(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = CliRunner().invoke(app, [*command, "--config", str(path)])
        codes.append(_ended(result, f"{name}: {text!r}"))
    assert codes[0] == 0  # nothing was done to the first
    assert codes.count(1) > n / 4


def test_damaged_settings_are_refused(tmp_path):
    _check_settings(20, 0, tmp_path)


@pytest.mark.slow
def test_five_hundred_damaged_settings(tmp_path):
    _check_settings(500, 1, tmp_path)


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
