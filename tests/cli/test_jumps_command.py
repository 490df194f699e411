"""The command on a table of labels."""

import json

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from trajinfer import jumps
from trajinfer._core.archive import read_archive
from trajinfer._core.errors import InputError
from trajinfer.cli.jumps import jumps as command
from trajinfer.jumps import MarkovJumpProcess

app = typer.Typer()
app.command()(command)


@pytest.fixture
def table(tmp_path):
    rates = [[-1, 1, 0], [0.5, -1, 0.5], [0, 1, -1]]
    data = jumps.simulate(rates, [1, 0, 0], 60, [0, 0.3, 0.6, 1.0, 1.5], random_state=0)
    frame = data.to_frame().rename(columns={"id": "who", "time": "years"})
    frame.to_csv(tmp_path / "panel.csv", index=False)
    return tmp_path / "panel.csv"


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def test_result_folder(table, tmp_path):
    out = tmp_path / "result"
    given = (table, "--id", "who", "--time", "years", "--out", out, "--method", "mle")
    result = run(*given, "--links", "0-1,1-0,1-2,2-1", "--json", "--quiet")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert len(document["rates"]) == 4
    rates = pd.read_csv(out / "rates.csv")
    assert ((rates["lower"] < rates["rate"]) & (rates["rate"] < rates["upper"])).all()
    model = MarkovJumpProcess._from_archive(*read_archive(out / "model"))
    assert model.rates_[0, 1] == pytest.approx(rates["rate"][0])


def test_dry_run_prints_a_call_that_works(table):
    result = run(table, "--id", "who", "--time", "years", "--label-noise", "learn", "--dry-run")
    assert "MarkovJumpProcess(method='auto', label_noise='learn'" in result.stdout
    compile(result.stdout, "script", "exec")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "mlee"), "did you mean 'mle'"),
        (("--label-noise", "much"), "number or 'learn'"),
        (("--links", "0>1"), "pairs such as"),
        (("--id", "subject"), "no column 'subject'"),
    ],
)
def test_bad_options_are_named(table, options, message):
    with pytest.raises(InputError, match=message):
        run(table, "--id", "who", "--time", "years", *options, "--dry-run")
