"""One training loop for every model: optimizations, batches, callbacks, checkpoints."""

from trajinfer.training.batches import Batches, BatchSource
from trajinfer.training.callback import Callback
from trajinfer.training.checkpoint import Checkpoint
from trajinfer.training.early_stopping import EarlyStopping
from trajinfer.training.loop import train
from trajinfer.training.loss import Loss
from trajinfer.training.optimization import Objective, Optimization
from trajinfer.training.parameter_groups import all_decay, matrices_decay
from trajinfer.training.progress import CSVLogger, Progress
from trajinfer.training.recipe import Recipe, in_evaluation
from trajinfer.training.run import Report, Run
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
    "Optimization",
    "Progress",
    "Recipe",
    "Report",
    "Run",
    "Schedule",
    "WeightAverage",
    "all_decay",
    "constant",
    "cosine",
    "in_evaluation",
    "matrices_decay",
    "train",
]
