"""The examples run and print what their pages say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("jumps_flashing_ratchet", "three parameters  rate RMSE 0.0"),
        ("jumps_heart_transplant", "-2 log-likelihood 3968.798"),
        ("jumps_double_well", "hidden states, Gaussian signal"),
        ("jumps_ion_channel", "mean open time"),
    ],
)
def test_example(name, words, tmp_path):
    if "heart" in name and not os.environ.get("TRAJINFER_DATA"):
        pytest.skip("set TRAJINFER_DATA to a folder with mjp/panel_cav.npz")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
