"""A command in several processes that train its networks together; `torchrun` starts them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence

import typer

from trajinfer.cli.console import say


def run_together(words: Sequence[str], processes: int, *, quiet: bool) -> None:
    """Run `trajinfer` with these words in so many processes, the first of which writes and speaks.

    Raises:
        typer.Exit: with code 1 if they ended with an error, which they have shown.
    """
    # torchrun would take options such as --n for its own, but for the two dashes
    how = ["--standalone", f"--nproc_per_node={processes}", "-m", "--", "trajinfer", *words]
    say(shlex.join(["torchrun", *how]), quiet=quiet)
    threads = str(max(1, (os.cpu_count() or 1) // processes))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *how],
        env={"OMP_NUM_THREADS": threads, **os.environ},
        check=False,
    )
    if done.returncode != 0:
        raise typer.Exit(1)
