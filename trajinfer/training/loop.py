"""The one training loop of the package."""

from __future__ import annotations

from collections.abc import Sequence

from trajinfer._core.checkpoint_folder import open_folder
from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError
from trajinfer.training.batches import BatchSource
from trajinfer.training.callback import Callback
from trajinfer.training.checkpoint import Checkpoint
from trajinfer.training.optimization import Optimization
from trajinfer.training.processes import joined
from trajinfer.training.run import Report, Run


def train(
    optimizations: Sequence[Optimization],
    batches: BatchSource,
    n_steps: int,
    *,
    callbacks: Sequence[Callback] = (),
) -> Report:
    """Move every optimization downhill for `n_steps` steps.

    Draws inside an objective that name no generator (dropout, say) come from a stream seeded by the
    step, so a resumed run repeats an unbroken one to the last bit and torch's global stream is
    neither used nor moved. A step whose loss or gradient is not finite is not
    made; it is counted, and more than 20 in a row raise.

    Under `torchrun` all processes train one module, each on its part of every batch; see
    docs/scale.md.

    Args:
        optimizations: one for ordinary training, several for adversarial training.
        batches: gives the batch of any step.
        n_steps: the number of steps; a last epoch may be shorter.
        callbacks: called in the order given. Inside of `checkpointed` the run is kept there.

    Raises:
        InputError: if there is no optimization, or `n_steps` is not a positive integer.
        NotConverged: if losses stay infinite or NaN.
    """
    require_integer(n_steps, "n_steps", least=1)
    if not optimizations or len({one.name for one in optimizations}) < len(optimizations):
        raise InputError("optimizations must be at least one, each with a name of its own")
    folder = open_folder()
    if folder is not None:
        callbacks = [*callbacks, Checkpoint(folder.file(folder.next_place("training")))]
    with joined() as processes:
        report = _run(Run(optimizations, batches, n_steps, callbacks, processes), callbacks)
    for callback in callbacks:
        callback.on_fit_end(report)
    return report


def _run(run: Run, callbacks: Sequence[Callback]) -> Report:
    """Make the steps."""
    for callback in callbacks:
        callback.on_fit_start(run)
    run.processes.agree_on(run.batches.seed, [one.module for one in run.optimizations])
    while run.step < run.n_steps and run.stopped is None:
        run.advance()
        for callback in callbacks:
            callback.on_step(run)
        if run.at_end_of_epoch:
            run.close_epoch()
            for callback in callbacks:
                callback.on_epoch(run)
    return Report(run.history, run.stopped, run.step, run.n_skipped, run.seconds)
