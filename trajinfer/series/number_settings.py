"""The numbers by which networks for series are set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trajinfer._core.checks import require_integer, require_positive, require_widths
from trajinfer._core.errors import InputError


def check_numbers(value: Callable[[str], Any]) -> None:
    """Refuse what is no size, rate, share or duration.

    Args:
        value: gives the setting of a name.

    Raises:
        InputError: naming the setting and what it may be.
    """
    for name in ("layers", "n_samples", "batch_size"):
        require_integer(value(name), name, least=1)
    if value("max_epochs") is not None:
        require_integer(value("max_epochs"), "max_epochs", least=1)
    require_widths(value("hidden"), "hidden")
    require_positive(value("lr"), "lr")
    for name in ("weight_decay", "kl_weight"):
        require_positive(value(name), name, or_zero=True)
    if value("patience") is not None:
        require_integer(value("patience"), "patience", least=0)
    if value("step") is not None:
        require_positive(value("step"), "step")
    for name, most in (("validation", 0.9), ("thinning", 0.99)):
        require_positive(value(name), name, or_zero=True)
        if value(name) > most:
            raise InputError(f"{name} must lie in [0, {most:g}], got {value(name)!r}")
