"""Independence of global state: random stream, default dtype and device, gradients, autocast.

Torch keeps these for the whole process or thread, as numpy does what it makes of underflow. The
contexts here replace them for the length of a block in the current thread only, so that a user's
settings neither change an answer nor change.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Function = TypeVar("Function", bound=Callable[..., Any])

_DRAWS = {
    torch.rand,
    torch.randn,
    torch.randint,
    torch.randperm,
    torch.bernoulli,
    torch.normal,
    torch.multinomial,
    Tensor.uniform_,
    Tensor.normal_,
    Tensor.bernoulli_,
    Tensor.exponential_,
    Tensor.random_,
    Tensor.bernoulli,
    Tensor.multinomial,
    nn.init.uniform_,
    nn.init.normal_,
    nn.init.trunc_normal_,
    nn.init.kaiming_uniform_,
    nn.init.kaiming_normal_,
    nn.init.xavier_uniform_,
    nn.init.xavier_normal_,
    nn.init.orthogonal_,
}
_LIKE = {torch.rand_like: Tensor.uniform_, torch.randn_like: Tensor.normal_}
_FACTORIES = {
    torch.empty,
    torch.zeros,
    torch.ones,
    torch.rand,
    torch.randn,
    torch.linspace,
    torch.logspace,
    torch.eye,
}
_CONVERSIONS = {Tensor.double, Tensor.half, Tensor.bfloat16, Tensor.to, Tensor.type}
_CHOICES = {torch.where, Tensor.where}
_DOUBLES = (torch.float64, torch.complex128)
_HALVES = (torch.float16, torch.bfloat16)


class OwnStream(TorchFunctionMode):
    """Draws that name no generator come from one of a seed, in this thread only.

    Every device has a generator of its own, of the same seed. Covers initialisation of weights,
    `torch.rand` and its relatives, in-place draws and dropout.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, with the generator where it draws."""
        kwargs = kwargs or {}
        if func is nn.functional.dropout:
            return self._dropout(*args, **kwargs)
        if func in _LIKE:
            empty = torch.empty_like(*args, **kwargs)
            return _LIKE[func](empty, generator=self._of(empty.device))
        if func in _DRAWS and kwargs.get("generator") is None:
            kwargs = {**kwargs, "generator": self._of(_device_of_draw(args, kwargs))}
        return func(*args, **kwargs)

    def _of(self, device: torch.device) -> torch.Generator:
        """The generator of a device."""
        if device not in self._generators:
            self._generators[device] = torch.Generator(device=device).manual_seed(self.seed)
        return self._generators[device]

    def _dropout(
        self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or p == 0.0:
            return input
        if inplace or p >= 1.0:
            return nn.functional.dropout(input, p, training, inplace)
        kept = torch.empty_like(input).bernoulli_(1 - p, generator=self._of(input.device))
        return input * kept.div_(1 - p)


def _device_of_draw(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.device:
    """The device asked for, or else that of the tensor that is filled or gives the odds."""
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"])
    given = next((a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)), None)
    return torch.device("cpu") if given is None else given.device


class SinglePrecision(TorchFunctionMode):
    """New tensors of unsaid precision are float32, whatever the default dtype is.

    A result in another precision stays so where an argument, or the call itself, asks for it.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch."""
        kwargs = kwargs or {}
        if kwargs.get("dtype") is not None or func in _CONVERSIONS:
            return func(*args, **kwargs)
        if func in _FACTORIES:
            return func(*args, **{**kwargs, "dtype": torch.float32})
        result = func(*args, **kwargs)
        given = (*args, *kwargs.values())
        if not isinstance(result, Tensor):
            return result
        if result.dtype == torch.float64 and not any(_is_of(a, _DOUBLES) for a in given):
            return result.float()
        if result.dtype in _HALVES and not any(_is_of(a, _HALVES) for a in given):
            return _in_single(func, args, kwargs)
        return result


def _in_single(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call again whose result was rounded to half precision, as no argument asks."""
    if not any(isinstance(a, Tensor) for a in (*args, *kwargs.values())):
        return func(*args, **kwargs, dtype=torch.float32)
    if func in _CHOICES:
        return func(*[torch.tensor(a, dtype=torch.float32) if _is_number(a) else a for a in args])
    return func(*map(_as_single, args), **{name: _as_single(a) for name, a in kwargs.items()})


def _as_single(value: Any) -> Any:
    whole = isinstance(value, Tensor) and not (value.is_floating_point() or value.is_complex())
    return value.float() if whole else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _is_of(value: Any, dtypes: tuple[torch.dtype, ...]) -> bool:
    """Whether a value is a tensor or an array of one of the precisions, or holds one."""
    if isinstance(value, Tensor):
        return value.dtype in dtypes
    if isinstance(value, (np.ndarray, np.generic)):
        return any(str(value.dtype) == str(dtype).removeprefix("torch.") for dtype in dtypes)
    return isinstance(value, (list, tuple)) and any(_is_of(item, dtypes) for item in value)


@contextmanager
def ordinary_state() -> Iterator[None]:
    """The state of a fresh process, in this thread, for the length of a block.

    Gradients are on, new tensors of single precision and on the CPU, nothing is cast by itself,
    and numbers too small for their type are 0 without a word.
    """
    with ExitStack() as replaced:
        replaced.enter_context(torch.inference_mode(False))
        replaced.enter_context(torch.enable_grad())
        replaced.enter_context(np.errstate(under="ignore"))
        if torch.empty(0).device.type != "cpu":
            replaced.enter_context(torch.device("cpu"))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                replaced.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_dtype() != torch.float32:
            replaced.enter_context(SinglePrecision())
        yield


def independent_of_global_state(function: Function) -> Function:
    """Decorator: the function runs under `ordinary_state`."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with ordinary_state():
            return function(*args, **kwargs)

    return call  # type: ignore[return-value]
