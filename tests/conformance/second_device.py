"""A second device without hardware: tensors there meet none of the CPU, and are counted as read.

The tensors of device "meta" carry numbers here. An operation on tensors of both devices raises, as
a GPU would; a number of one dimension 0 may meet any tensor, as there. So does a draw there from a
generator of the CPU, and what turns a tensor there into an array of numpy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as trees
from torch.utils._python_dispatch import TorchDispatchMode

SECOND = "meta"
_MOVES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
# indices of the CPU are taken by any tensor, and moved by torch itself
_INDEXED = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
}
# these take not even numbers of the other device
_JOINING = {torch.ops.aten.cat.default, torch.ops.aten.stack.default}
_FROM_VALUES = {torch.tensor, torch.as_tensor, torch.asarray, torch.scalar_tensor}
_PRODUCTS = {torch.matmul, Tensor.matmul, Tensor.__matmul__}


class StrayTensor(RuntimeError):
    """A tensor or a generator of one device met one of the other."""


class There(Tensor):
    """A tensor of the second device, by its numbers on the CPU."""

    @staticmethod
    def __new__(cls, numbers: Tensor) -> There:
        return torch.Tensor._make_wrapper_subclass(
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=SECOND,
        )

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})

    def __repr__(self) -> str:
        return f"There({self.numbers!r})"

    def __deepcopy__(self, memo: dict) -> There:
        copied = There(self.numbers.clone()).requires_grad_(self.requires_grad)
        copied.__dict__ |= {k: v for k, v in vars(self).items() if k != "numbers"}
        return memo.setdefault(id(self), copied)


class _Generator(torch.Generator):
    """A generator that says it belongs to a device."""

    def __new__(cls, device: Any = "cpu") -> _Generator:
        generator = super().__new__(cls, device="cpu")
        generator.home = torch.device(device)
        return generator

    @property
    def device(self) -> torch.device:
        return self.home


class _Operations(TorchDispatchMode):
    """Sends factories to their device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


class _Calls(TorchFunctionMode):
    """What torch answers for its device "meta" before an operation is dispatched."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in _FROM_VALUES and _is_second(kwargs.get("device")):
            return _from_values(func, args, {**kwargs, "device": "cpu"})
        if func is Tensor.tolist and isinstance(args[0], There):
            return args[0].numbers.tolist()
        if func is Tensor.new_tensor and isinstance(args[0], There):
            return torch.tensor(args[1], dtype=kwargs.get("dtype", args[0].dtype)).to(SECOND)
        if func in _PRODUCTS and isinstance(args[0], There) and args[0].ndim == 1:
            return func(args[0][None], *args[1:])[0]  # torch would squeeze in place
        generator = kwargs.get("generator")
        if isinstance(generator, _Generator):
            home = _home(args, kwargs, func)
            if home.type != generator.device.type:
                raise StrayTensor(f"{func} draws on {home} from a generator of {generator.device}")
        return func(*args, **kwargs)


def _is_second(device: Any) -> bool:
    return device is not None and torch.device(device).type == SECOND


def _from_values(func: Any, args: Any, kwargs: dict[str, Any]) -> Tensor:
    if isinstance(args[0], There):
        return args[0] if kwargs.get("dtype") is None else args[0].to(kwargs["dtype"])
    return func(*args, **kwargs).to(SECOND)


def _home(args: Any, kwargs: Any, func: Any) -> torch.device:
    """The device that a call draws on."""
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"])
    first = args[0] if args else None
    return first.device if isinstance(first, Tensor) else torch.device("cpu")


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operation, on the device of its tensors."""
    flat, spec = trees.tree_flatten((args, kwargs))
    there = any(isinstance(value, There) for value in flat)
    device = kwargs.get("device")
    target = there if device is None else _is_second(device)
    if there and func not in _MOVES:
        _require_one_device(func, args, flat)
    bare, kwargs = trees.tree_unflatten(
        [value.numbers if isinstance(value, There) else value for value in flat], spec
    )
    if device is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    result = func(*bare, **kwargs)
    if func is torch.ops.aten._to_copy.default and result is bare[0]:
        result = result.clone()
    if not target or result is None:
        return result
    if _in_place(func):
        return args[0]
    return trees.tree_map_only(Tensor, There, result)


def _in_place(func: Any) -> bool:
    name = func.overloadpacket.__name__
    return name.endswith("_") and not name.endswith("__")


def _require_one_device(func: Any, args: Any, flat: list[Any]) -> None:
    counted = [args[0], *args[2:]] if func in _INDEXED else flat
    strays = [
        value
        for value in trees.tree_leaves(counted)
        if isinstance(value, Tensor)
        and not isinstance(value, There)
        and (value.ndim > 0 or func in _JOINING)
    ]
    if strays:
        shapes = [tuple(stray.shape) for stray in strays]
        raise StrayTensor(f"{func} meets tensors {shapes} of the CPU and others of {SECOND}")


@contextmanager
def second_device() -> Iterator[str]:
    """Give the name of a second device, which is there for the length of a block."""
    with patch.object(torch, "Generator", _Generator), _Operations(), _Calls():
        yield SECOND
