"""Settings that all estimators by a denoiser share: what is refused, and how long they train."""

from __future__ import annotations

from typing import Any, Protocol

from trajinfer._core.checks import require_fraction, require_integer, require_positive
from trajinfer._core.devices import Device, device_of, require_cpu
from trajinfer._core.errors import InputError, nearest
from trajinfer.scores.correction import Schedule

_MODELS = ("network", "mixture")
_COUNTS = ("hidden", "layers", "n_evaluations", "max_epochs", "batch_size", "patience")


class DenoiserSettings(Protocol):
    """Settings by their names in the estimators."""

    model: Any
    n_components: Any
    hidden: int
    layers: int
    n_evaluations: int
    churn: float
    max_epochs: int
    batch_size: int
    lr: float
    patience: int
    validation: float
    device: Device
    verbose: int


def require_settings(given: DenoiserSettings) -> None:
    """Refuse settings that cannot be used.

    Raises:
        InputError: naming the setting, and what it may be.
    """
    if given.model not in _MODELS:
        raise InputError(f"no model {given.model!r}; {nearest(str(given.model), _MODELS)}")
    for name in _COUNTS:
        require_integer(getattr(given, name), name, least=1)
    if isinstance(given.n_components, str) and given.n_components != "auto":
        raise InputError(f"n_components must be 'auto' or a number, got {given.n_components!r}")
    if given.n_components != "auto":
        require_integer(given.n_components, "n_components", least=1)
    require_fraction(given.validation, "validation")
    if given.model == "network":
        device_of(given.device)
    else:
        require_cpu(given.device, "model='mixture' is algebra in double precision on the CPU")
    require_positive(given.lr, "lr")
    require_positive(given.churn, "churn", or_zero=True)


def schedule_of(given: DenoiserSettings) -> Schedule:
    """How long the network of these settings is trained."""
    return Schedule(
        int(given.max_epochs),
        int(given.batch_size),
        float(given.lr),
        int(given.patience),
        int(given.verbose),
    )
