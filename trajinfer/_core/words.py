"""Old names of arguments: still understood, with a FutureWarning that says the new one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from trajinfer._core.errors import InputError

Function = TypeVar("Function", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)


def renamed(**names: str) -> Callable[[Function], Function]:
    """Decorator of a function some of whose keyword arguments had other names.

    Args:
        **names: old name = new name.

    Raises:
        InputError: (the function) if an argument is given by both names.

    Example:
        >>> @renamed(series="X")
        ... def count(X):
        ...     return len(X)
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     count(series=[1, 2])
        2
        >>> print(caught[0].message)
        series= is now called X=; the old name will go in version 0.4
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **with_new_names(kwargs, names))

        return call  # type: ignore[return-value]

    return decorate


def renamed_settings(**names: str) -> Callable[[Class], Class]:
    """Class decorator of an estimator some of whose settings had other names."""

    def decorate(cls: Class) -> Class:
        cls.__init__ = renamed(**names)(cls.__init__)  # type: ignore[misc]
        if hasattr(cls, "set_params"):
            cls.set_params = renamed(**names)(cls.set_params)
        return cls

    return decorate


def with_new_names(
    kwargs: dict[str, Any], names: dict[str, str], *, stacklevel: int = 3
) -> dict[str, Any]:
    """Keyword arguments with old names replaced; a FutureWarning for each."""
    if not names.keys() & kwargs.keys():
        return kwargs
    changed = {name: value for name, value in kwargs.items() if name not in names}
    for old in names.keys() & kwargs.keys():
        new = names[old]
        if new in kwargs:
            raise InputError(f"{old}= is the old name of {new}=; give only {new}=")
        warnings.warn(
            f"{old}= is now called {new}=; the old name will go in version 0.4",
            FutureWarning,
            stacklevel=stacklevel,
        )
        changed[new] = kwargs[old]
    return changed
