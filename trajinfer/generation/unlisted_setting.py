"""A setting that cannot be taken for a method of the estimator."""

from __future__ import annotations

from typing import Any


class UnlistedSetting:
    """A setting that stands in `get_params()` and is no readable attribute.

    scikit-learn takes everything with an attribute `transform` for a transformer. A setting of that
    name is stored like any other, and read by `vars(estimator)` or `get_params()` only.

    Args:
        default: value of the setting where none is given.
    """

    def __init__(self, default: Any) -> None:
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self._default
        raise AttributeError(
            f"{self._name} is a setting of {type(instance).__name__}, not a method; it stands in "
            f"get_params()['{self._name}']"
        )

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[self._name] = value
