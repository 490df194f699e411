"""One training loop for every model: players, batches, callbacks, checkpoints."""

from trajinfer.training.batches import Batches, BatchSource
from trajinfer.training.callback import Callback
from trajinfer.training.checkpoint import Checkpoint
from trajinfer.training.early_stopping import EarlyStopping
from trajinfer.training.loop import Report, Run, train
from trajinfer.training.loss import Loss
from trajinfer.training.player import Objective, Player
from trajinfer.training.progress import CSVLogger, Progress
from trajinfer.training.schedules import Schedule, constant, cosine
from trajinfer.training.weight_average import WeightAverage

__all__ = [
    "BatchSource",
    "Batches",
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "Loss",
    "Objective",
    "Player",
    "Progress",
    "Report",
    "Run",
    "Schedule",
    "WeightAverage",
    "constant",
    "cosine",
    "train",
]
