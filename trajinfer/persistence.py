"""Reading saved models, whichever estimator wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trajinfer import bridges, functionals, generation, jumps, long_memory, scores, series
from trajinfer._core.ambient import independent_of_global_state
from trajinfer._core.archive import read_archive
from trajinfer._core.errors import InputError, TrajinferError

_ROOMS = (bridges, functionals, generation, jumps, long_memory, scores, series)
# What classes say that are made from the wrong pieces; nothing but such making happens here.
_DAMAGE = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


@independent_of_global_state
def load(path: str | Path) -> Any:
    """Read a fitted estimator that its `save(path)` wrote.

    Args:
        path: the folder.

    Returns:
        The fitted estimator, on the CPU.

    Raises:
        InputError: if the folder is missing, incomplete, damaged, changed since it was saved, of a
            newer format, or holds an estimator that this version does not have.

    Example:
        >>> import numpy as np, tempfile, pathlib
        >>> from trajinfer import SchrodingerBridge
        >>> X, t = np.random.default_rng(0).normal(size=(40, 2)), np.repeat([0, 1], 20)
        >>> bridge = SchrodingerBridge(random_state=0).fit(X, t)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = load(bridge.save(pathlib.Path(folder) / "model"))
        >>> bool((again.sample(5).values == bridge.sample(5).values).all())
        True
    """
    config, tensors = read_archive(path)
    name = config.get("estimator")
    known = _estimators()
    if not isinstance(name, str) or name not in known:
        raise InputError(
            f"{path} holds a '{name}', this version of trajinfer reads {', '.join(known)}; "
            "update trajinfer"
        )
    try:
        return known[name]._from_archive(config, tensors)
    except TrajinferError:
        raise
    except _DAMAGE as error:
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(
            f"{path} is damaged: what it holds is no {name} ({words[:200]}); restore it from a "
            "copy, or fit and save again"
        ) from error


def _estimators() -> dict[str, Any]:
    """The exported classes that can be rebuilt from an archive, by name."""
    exported = {name: getattr(room, name) for room in _ROOMS for name in room.__all__}
    return {name: value for name, value in exported.items() if hasattr(value, "_from_archive")}
