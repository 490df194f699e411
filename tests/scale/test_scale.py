"""The table of sizes is made of fits that run, and goes to its place in the page."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.scale import __main__ as scale
from tests.scale.jobs import JOBS
from tests.scale.lengths import PANELS, rows_of


def _holding(n):
    """A job that holds n thousand numbers of eight bytes."""
    return lambda: np.ones((n, 1000)).sum()


def test_time_and_memory_of_a_fork_are_told():
    # in a process that has freed no memory, since a fork would take from that
    code = "from tests.scale import test_scale as t; print(*t.scale.measured(t._holding, 8000))"
    told = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    ).stdout
    seconds, megabytes = map(float, told.split())
    assert seconds > 0
    assert 50 < megabytes < 100


def test_a_job_is_measured():
    seconds, _ = scale.measured(JOBS['`MarkovJumpProcess(method="mle")`'], 50)
    assert seconds > 0


def test_the_table_replaces_the_one_before():
    page = scale.PAGE.read_text(encoding="utf-8")
    once = scale.written(page, "| a |\n")
    assert "| a |\n" in once
    assert scale.written(once, "| b |\n").replace("| b |", "| a |") == once


def test_verbs_are_measured_on_panels_of_unequal_lengths():
    fit, verb = rows_of("MarkovJumpProcess", ["short", "early"])
    assert fit.startswith("| MarkovJumpProcess fit |")
    assert verb.startswith("| MarkovJumpProcess log_likelihood |")
    assert fit.count(" MB, ") == verb.count(" MB, ") == 2
    short, early = (PANELS[name].series() for name in ("short", "early"))
    assert short.last_times[0] - early.last_times[0] == 60 * 20
    assert PANELS["long"].series().lengths[0] == 1000
