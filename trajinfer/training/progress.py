"""Progress on the terminal, and figures in a file."""

from __future__ import annotations

import csv
import io
import logging
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from trajinfer._core.archive import write_text
from trajinfer.training.callback import Callback
from trajinfer.training.run import Report, Run

_LOG = logging.getLogger("trajinfer.training")


class Progress(Callback):
    """A bar (`verbose=1`, where there is a terminal) or a log line per epoch (`verbose=2`)."""

    def __init__(self, verbose: int) -> None:
        self.verbose = verbose
        self._bar: Any = None

    def on_fit_start(self, run: Run) -> None:
        """Open the bar."""
        if self.verbose == 1 and run.processes.first:
            self._bar = tqdm(total=run.n_steps, initial=run.step, unit="step", disable=None)

    def on_step(self, run: Run) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update()

    def on_epoch(self, run: Run) -> None:
        """Show the figures of the epoch."""
        row = run.history[-1]
        figures = {k: v for k, v in row.items() if k not in ("step", "epoch", "seconds")}
        text = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        if self._bar is not None:
            self._bar.set_postfix_str(text)
        elif self.verbose > 1 and run.processes.first:
            _LOG.info("epoch %d, step %d of %d: %s", row["epoch"], row["step"], run.n_steps, text)

    def on_fit_end(self, report: Report) -> None:
        """Close the bar and say how long it took."""
        if self._bar is not None:
            self._bar.close()
        if self.verbose:
            end = f", {report.stopped}" if report.stopped else ""
            _LOG.info("%d steps in %.1f s%s", report.n_steps, report.wall_time, end)


class CSVLogger(Callback):
    """The history as a table in a file, rewritten whole after every epoch."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def on_epoch(self, run: Run) -> None:
        """Write the table."""
        if not run.processes.first:
            return
        names = list(dict.fromkeys(name for row in run.history for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, restval="")
        writer.writeheader()
        writer.writerows(run.history)
        write_text(self.path, text.getvalue())
