"""Many fits in one process: what one leaves behind would fill the memory of a service."""

import gc
import os
import sys
from pathlib import Path

import pytest

from tests.conformance.estimators import CASES

N_WARM, N_FITS = 6, 40
MOST_GROWTH = 20e6


def resident():
    """Bytes of memory that the process holds."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def refitted(case, n):
    for seed in range(n):
        case.draw(case.make(random_state=seed).fit(*case.data()))


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fits_leave_nothing_behind(case):
    """The first fits fill caches of libraries; those after them add less than 20 MB together."""
    refitted(case, N_WARM)
    before = resident()
    refitted(case, N_FITS)
    growth = resident() - before
    assert growth < MOST_GROWTH, f"{growth / 1e6:.1f} MB in {N_FITS} fits"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_a_thousand_fits_in_one_process():
    """All estimators in turn, as a service would: together they add less than 20 MB."""
    rounds = -(-1000 // len(CASES))
    for case in CASES:
        refitted(case, N_WARM)
    before = resident()
    for seed in range(rounds):
        for case in CASES:
            case.draw(case.make(random_state=seed).fit(*case.data()))
    growth = resident() - before
    assert growth < MOST_GROWTH, f"{growth / 1e6:.1f} MB in {rounds * len(CASES)} fits"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_what_is_left_behind_is_noticed():
    """A megabyte kept per fit is more than the bound."""
    before = resident()
    kept = [os.urandom(1_000_000) for _ in range(N_FITS)]
    assert resident() - before > MOST_GROWTH
    assert len(kept) == N_FITS
