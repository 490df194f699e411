"""A grammar of mistakes on command lines: strange values, unknown options, broken files."""

import numpy as np
import pandas as pd

from tests.cli.on_data import ON_DATA

VALUES = ("", " ", "nan", "inf", "-inf", "-1", "0", "1", "2", "3.5", "1e400", "1e-320", "9" * 30)
VALUES += ("x", "y", "id", "time", "state", "é", "\N{SNOWMAN}", "a,b", ",", "x,x", "x=", "=", "x=1")
VALUES += ("[", "[1,", "[]", "{", "{}", "()", "-", "..", "/", ".", "\t", "'", '"', "true", "None")
VALUES += ("1D", "-1D", "2020-01-01", "0x10", "1_000", "ill-well", "ill-ill", "well", "select")
VALUES += ("*", "%s", "{x}", "a" * 300, "x>=1", "x>=", "last", "new", "\x1b[31m", "csv", "auto")

WORDS = ("n_refinements", "volatility", "method", "label_noise", "absorbing", "reg")
WORDS += (
    "links",
    "n_states",
    "model",
    "spread",
    "hide",
    "transform",
    "reference",
    "reference.name",
)
WORDS += (
    "reference.dim",
    "level",
    "x",
    "",
    "device",
    "verbose",
    "tol",
    "backend",
    "growth",
    "phases",
)

DOCUMENTS = (b"", b"\xff\xfe", b"[", b"a = ", b"a = 1", b"[a]\nb = 1", b"[SchrodingerBridge]\nx=1")
DOCUMENTS += (b"[MarkovJumpProcess]\nlinks = 3", b"[MarkovJumpProcess]\ncovariates = [[1]]")
DOCUMENTS += (b"SchrodingerBridge = 1", b"SchrodingerBridge = []", b"ScoreSeries = 'x'")
DOCUMENTS += (b"[SchrodingerBridge.reference]\nname = 3", b"[estimate_hurst]\nlevel = 'a'")
DOCUMENTS += (b"MarkovJumpProcess = 2", b"[[MarkovJumpProcess]]\nmethod = 'mle'", b"\x00" * 9)

# processes are started, files are looked for elsewhere, and stand-ins have no course of a fit
_NOT_HERE = {"nproc", "out", "help", "report"}


def table(rng):
    """24 series of a number and of two labels that change along some of them."""
    who = np.repeat(np.arange(24), 6)
    states = np.where((who % 2 == 0) | (rng.random(144) < 0.3), "well", "ill")
    columns = {"id": who, "time": np.tile(np.arange(6), 24), "state": states}
    return pd.DataFrame({**columns, "x": rng.normal(size=144).cumsum(), "y": rng.normal(size=144)})


def _named(option, rng):
    name = option.opts[rng.integers(len(option.opts))]
    return [name] if option.is_flag else [name, str(rng.choice(VALUES))]


def _assignment(rng):
    return ["--set", f"{rng.choice(WORDS)}={rng.choice(VALUES)}"]


def _config(rng, folder):
    path = folder / f"mistake{rng.integers(1000)}.toml"
    path.write_bytes(DOCUMENTS[rng.integers(len(DOCUMENTS))])
    return ["--config", str(path)]


def _stray(rng):
    strays = (["--nonsense"], ["stray"], ["--set"], ["--"], ["--set", str(rng.choice(VALUES))])
    return strays[rng.integers(len(strays))]


def command_line(command, parameters, file, folder, rng):
    """The words of a command with one to three mistakes among them.

    Args:
        command: its name.
        parameters: its options.
        file: the table.
        folder: for files of settings.
        rng: of the mistakes.
    """
    options = [p for p in parameters if p.param_type_name == "option" and p.name not in _NOT_HERE]
    words = list(ON_DATA[command])
    for _ in range(rng.integers(1, 4)):
        kind = rng.random()
        if kind < 0.6:
            words += _named(options[rng.integers(len(options))], rng)
        elif kind < 0.85:
            words += _assignment(rng)
        elif kind < 0.95:
            words += _config(rng, folder)
        else:
            words += _stray(rng)
    return [command, str(file), *words]
