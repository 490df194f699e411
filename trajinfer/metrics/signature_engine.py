"""The compiled package pysiglib as a drop-in for signatures and their kernel."""

from __future__ import annotations

from typing import Any, Literal, get_args

from torch import Tensor

from trajinfer._core.errors import InputError
from trajinfer._core.extras import import_extra

Engine = Literal["torch", "pysiglib"]


def require_engine(engine: str) -> None:
    """Refuse an engine that is not known or not installed.

    Raises:
        InputError: for an unknown name.
        MissingExtra: if pysiglib is asked for and not installed.
    """
    if engine not in get_args(Engine):
        raise InputError(f"engine must be one of {', '.join(get_args(Engine))}, got {engine!r}")
    if engine == "pysiglib":
        _pysiglib()


def accelerated_signature(paths: Tensor, depth: int) -> Tensor:
    """As `truncated_signature`, by pysiglib."""
    with_gradients = import_extra("pysiglib.torch_api", "sig")
    signature: Tensor = with_gradients.sig(paths.contiguous(), depth, scalar_term=False)
    return signature


def accelerated_gram(x: Tensor, y: Tensor, bandwidth: float | None, dyadic_order: int) -> Tensor:
    """As `SignatureKernel.gram`, by pysiglib."""
    lifted = None if bandwidth is None else _pysiglib().RBFKernel(bandwidth)
    with_gradients = import_extra("pysiglib.torch_api", "sig")
    gram: Tensor = with_gradients.sig_kernel_gram(
        x.contiguous(), y.contiguous(), dyadic_order=dyadic_order, static_kernel=lifted
    )
    return gram


def _pysiglib() -> Any:
    return import_extra("pysiglib", "sig")
