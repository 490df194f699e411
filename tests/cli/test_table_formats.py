"""Every command reads the same data from every format of a table."""

import numpy as np
import pandas as pd
import pytest

COMMANDS = {
    "jumps": "--id who --time day --state stage",
    "generate": "--id who --time day",
    "fit": "--time day --features level,visits",
    "forecast": "--id who --time day --horizon 2",
    "impute": "--id who --time day",
    "anomaly": "--id who --time day",
    "classify": "--id who --time day --label arm",
    "hurst": "--channels level",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same table under several names, with the options that its reading needs."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("formats")
    frame = pd.DataFrame(
        {
            "who": np.repeat([f"0{k}" for k in range(24)], 6),
            "day": np.tile(np.arange(6), 24),
            "visits": rng.poisson(3.0, 144),
            "level": rng.normal(size=144).cumsum().round(2),
            "stage": rng.choice(["None", "mild", "severe"], 144),
            "arm": np.repeat(rng.choice(["a", "b"], 24), 6),
        }
    )
    frame.to_csv(folder / "t.csv", index=False)
    frame.to_csv(folder / "t.tsv", index=False, sep="\t")
    frame.to_csv(folder / "t.TXT", index=False, sep="\t", encoding="utf-16")
    frame.to_csv(folder / "semicolons.csv", index=False, sep=";", decimal=",")
    frame.to_parquet(folder / "t.parquet")
    frame.set_index(["who", "day"]).to_parquet(folder / "indexed.parquet")
    frame.astype({"who": "category", "visits": "Int64"}).to_parquet(folder / "types.parquet")
    options = {"t.TXT": "--encoding utf-16", "semicolons.csv": "--sep ; --decimal ,"}
    return {path: options.get(path.name, "").split() for path in sorted(folder.iterdir())}


def read_by(script):
    """The container, or the column, that the printed Python makes before it fits anything."""
    found = {}
    for line in script.splitlines():
        if line.startswith(("model = ", "bridge", "print(")):
            break
        exec(line, found)
    data = found.get("data", found.get("series"))
    return found["frame"][["level"]] if data is None else data.to_frame()


# the others read series as "generate" does
@pytest.mark.parametrize(
    "command",
    [
        *("jumps", "generate", "fit"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in list(COMMANDS)[3:]),
    ],
)
@pytest.mark.filterwarnings("ignore:columns left out")
def test_a_command_reads_the_same_from_every_format(run, files, command):
    tables = {}
    for path, options in files.items():
        done = run(command, path, *COMMANDS[command].split(), *options, "--dry-run")
        assert done.exit_code == 0, (path.name, done.output)
        assert "last line" not in done.stderr, path.name
        tables[path.name] = read_by(done.stdout)
    first = tables["t.csv"]
    assert len(first) > 100
    for table in tables.values():
        pd.testing.assert_frame_equal(table, first, check_dtype=False, check_categorical=False)
