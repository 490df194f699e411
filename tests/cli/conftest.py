"""The command line in this process, with a small table to feed it."""

import numpy as np
import pandas as pd
import pytest
import rich.style  # noqa: F401 (now, because its first import moves the generator of `random`)
from typer.testing import CliRunner

from trajinfer.cli import app


@pytest.fixture
def table():
    """Three snapshots of 20 points that move to the right, with a column of names."""
    rng = np.random.default_rng(7)
    days = np.repeat([0, 1, 3], 20)
    return pd.DataFrame(
        {
            "day": days,
            "x": rng.normal(days, 0.3),
            "y": rng.normal(0.0, 0.3, len(days)),
            "name": "someone",
        }
    )


@pytest.fixture
def here(tmp_path, monkeypatch, table):
    """An empty working directory but for `snapshots.csv`."""
    monkeypatch.chdir(tmp_path)
    table.to_csv("snapshots.csv", index=False)
    return tmp_path


@pytest.fixture
def run():
    """Run the command line; the result has exit_code, stdout and stderr."""

    def call(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return call


@pytest.fixture
def fails(run):
    """Run it and expect one line of error, exit code 1, and no traceback."""

    def call(*arguments):
        result = run(*arguments)
        assert result.exit_code == 1, result.output
        lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1
        assert result.stderr.rstrip().splitlines()[-1] == lines[0]
        assert "Traceback" not in result.output
        assert result.stdout == ""
        return lines[0]

    return call
