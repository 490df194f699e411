"""Fits that are killed go on where they were, and end with the same result."""

import json
import os
import subprocess
import sys

import pytest

from tests._core.kept_fits import FITS
from tests.conformance.estimators import CASES

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="attempts are forked")


def _result(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "tests._core.killed_fits", *arguments],
        capture_output=True,
        text=True,
        timeout=1800,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_bootstrap_that_is_killed_twice_ends_with_the_same_rates():
    result = _result("bootstrap", "--kills", "2", "--seed", "1")
    assert result["difference"] == 0
    assert result["partial"] == []
    assert result["pieces"] == 6
    assert result["killed"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FITS, *(case.name for case in CASES)])
def test_every_fit_survives_twenty_kills(name):
    result = _result(name)
    assert result["difference"] <= 1e-6
    assert result["partial"] == []
    assert result["killed"] > 0
    assert result["kept"] > 0
