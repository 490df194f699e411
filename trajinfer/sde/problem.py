"""One view of every SDE: missing members filled in, context bound, evaluations counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from trajinfer._core.errors import InputError
from trajinfer.paths.brownian import Times
from trajinfer.sde.base import BoundSDE, LinearDrift, apply_diffusion
from trajinfer.sde.per_step import PerStep

NOISE_TYPES = ("diagonal", "scalar", "additive", "general", "none")


class Problem:
    """An SDE as the solvers see it.

    Any object with torchsde's names is taken. Members that are missing are derived from those that
    are there; the context, if any, is bound.

    Attributes:
        sde: the object given, without its binding.
        sde_type: "ito" or "stratonovich".
        noise_type: one of `NOISE_TYPES`.
        nfe_f: evaluations of the drift so far.
        nfe_g: evaluations of the diffusion so far.
        probed: whether the noise was found to commute, None if it was not probed.
    """

    def __init__(self, sde: Any, context: Any = None) -> None:
        if isinstance(sde, BoundSDE):
            if context is not None:
                raise InputError("the SDE is already bound to a context; give the context once")
            sde, context = sde.sde, sde.context
        self.sde, self.context = sde, context
        self._step = 0
        self.noise_type = str(getattr(sde, "noise_type", "none"))
        self.sde_type = str(getattr(sde, "sde_type", "ito"))
        if self.noise_type not in NOISE_TYPES or self.sde_type not in ("ito", "stratonovich"):
            raise InputError(
                f"noise_type {self.noise_type!r} or sde_type {self.sde_type!r} is unknown; "
                f"expected one of {NOISE_TYPES} and 'ito' or 'stratonovich'"
            )
        self.nfe_f = self.nfe_g = 0
        self.probed: bool | None = None
        self._law: tuple[Callable[[Times], tuple[Tensor, ...]] | None, ...] = ()
        self._f, self._g = self._member("f"), self._member("g")
        self._g_prod = self._member("g_prod")
        self._f_and_g = self._member("f_and_g")
        self._f_and_g_prod = self._member("f_and_g_prod")
        self._h, self._control = self._member("h"), self._member("control")
        self._width = 1 if self.noise_type == "scalar" else getattr(sde, "noise_dim", None)
        self._check_members()

    def reset(self) -> None:
        """Start counting evaluations again."""
        self.nfe_f = self.nfe_g = 0

    def at_step(self, index: int) -> None:
        """Turn to the context of a step, where each has its own."""
        self._step = index

    def with_context(self, context: Any) -> Problem:
        """The same SDE with another context."""
        other = Problem(self.sde, context)
        other.probed = self.probed
        return other

    @property
    def commutes(self) -> bool | None:
        """Whether the noise commutes: declared or probed; None if neither."""
        if self.noise_type in ("scalar", "additive", "none"):
            return True
        declared: bool | None = getattr(self.sde, "commutes", None)
        return self.probed if declared is None else declared

    @property
    def exact_step(self) -> Callable[..., Tensor] | None:
        """The step with the exact law, where the SDE has one."""
        return self._member("exact_step")

    def exact_law(self, y: Tensor) -> Callable[[Times], tuple[Tensor, ...]] | None:
        """What exact steps need of their lengths, where the SDE tells it apart; made once."""
        if not self._law:
            make = self._member("exact_law")
            self._law = (None if make is None else make(y),)
        return self._law[0]

    @property
    def drift_linear(self) -> LinearDrift | None:
        """The linear part of the drift, where the SDE declares it."""
        return getattr(self.sde, "drift_linear", None)

    @property
    def has_reference(self) -> bool:
        """Whether there is a reference drift, or a control, for the log-ratio."""
        return self._h is not None or self._control is not None

    def f(self, t: Tensor, y: Tensor) -> Tensor:
        """Drift, (B, D)."""
        self.nfe_f += 1
        return _fitting("drift", self._f(t, y) if self._f is not None else self._pair(t, y)[0], y)

    def g(self, t: Tensor, y: Tensor) -> Tensor:
        """Diffusion, (B, D) if diagonal, else (B, D, M)."""
        self.nfe_g += 1
        return self._fitting_g(self._g(t, y) if self._g is not None else self._pair(t, y)[1], y)

    def prod(self, g: Tensor, v: Tensor) -> Tensor:
        """The product of an evaluated diffusion and v (B, M)."""
        return apply_diffusion(g, v, self.noise_type)

    def f_and_g(self, t: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Drift and diffusion at the same place, fused where the SDE fuses them."""
        if self._f_and_g is not None:
            self.nfe_f += 1
            self.nfe_g += 1
            f, g = self._pair(t, y)
            return _fitting("drift", f, y), self._fitting_g(g, y)
        return self.f(t, y), self.g(t, y)

    def g_prod(self, t: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """The product g v, (B, D)."""
        diagonal = self._g is not None and self.noise_type == "diagonal"
        if self._g_prod is not None and not diagonal:
            self.nfe_g += 1
            return _fitting("product g v", self._g_prod(t, y, v), y)
        if self._f_and_g_prod is not None and self._g is None:
            self.nfe_g += 1
            return _fitting("product g v", self._f_and_g_prod(t, y, v)[1], y)
        return apply_diffusion(self.g(t, y), v, self.noise_type)

    def f_and_g_prod(self, t: Tensor, y: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Drift and g v at the same place."""
        if self._f_and_g_prod is not None:
            self.nfe_f += 1
            self.nfe_g += 1
            f, kick = self._f_and_g_prod(t, y, v)
            return _fitting("drift", f, y), _fitting("product g v", kick, y)
        if self._f_and_g is not None:
            f, g = self.f_and_g(t, y)
            return f, apply_diffusion(g, v, self.noise_type)
        return self.f(t, y), self.g_prod(t, y, v)

    def h(self, t: Tensor, y: Tensor) -> Tensor:
        """Reference drift of the log-ratio, (B, D)."""
        if self._h is None:
            raise InputError("the log-ratio needs a reference drift: define h(t, y)")
        reference: Tensor = self._h(t, y)
        return reference

    def control(self, t: Tensor, y: Tensor) -> Tensor | None:
        """The control u (B, M) with f = h + g u, where the SDE gives it directly."""
        return None if self._control is None else self._control(t, y)

    def noise_dim(self, t: Tensor, y: Tensor) -> int:
        """M, declared by the SDE or read off one evaluation of g."""
        if self.noise_type == "none":
            return 0
        if self.noise_type == "diagonal":
            return int(y.shape[1])
        if self.noise_type == "scalar":
            return 1
        if self._width is not None:
            return _channels(self._width)
        if self._g is None and self._f_and_g is None:
            raise InputError("the SDE gives only g_prod: declare noise_dim, the length of v")
        with torch.no_grad():
            self._width = self.g(t, y).shape[2]
        return _channels(self._width)

    def _fitting_g(self, g: Tensor, y: Tensor) -> Tensor:
        """A diffusion, if it fits the states y and the number of channels."""
        if self.noise_type == "diagonal":
            return _fitting("diffusion", g, y)
        if g.ndim != 3 or g.shape[:2] != y.shape or self._width not in (None, g.shape[2]):
            width = "M" if self._width is None else self._width
            raise InputError(
                f"the diffusion must have shape ({y.shape[0]}, {y.shape[1]}, {width}) "
                f"(noise_type {self.noise_type!r}), got {tuple(g.shape)}"
            )
        return g if g.dtype == y.dtype else _same_dtype("diffusion", g, y)

    def _pair(self, t: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Drift and diffusion of an SDE that has no f or no g of its own."""
        if self._f_and_g is not None:
            pair: tuple[Tensor, Tensor] = self._f_and_g(t, y)
            return pair
        n_paths, width = y.shape[0], self.noise_dim(t, y)
        product = self._product
        drift = self._f(t, y) if self._f is not None else product(t, y, y.new_zeros(1, width))[0]
        if self.noise_type == "diagonal":
            return drift, product(t, y, torch.ones_like(y))[1]
        columns = torch.eye(width, dtype=y.dtype, device=y.device).expand(n_paths, -1, -1)
        return drift, torch.stack([product(t, y, e)[1] for e in columns.unbind(1)], dim=-1)

    def _product(self, t: Tensor, y: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Drift and g v of an SDE that offers products only."""
        v = v.expand(y.shape[0], -1)
        if self._f_and_g_prod is not None:
            pair: tuple[Tensor, Tensor] = self._f_and_g_prod(t, y, v)
            return pair
        if self._g_prod is None:
            raise InputError("the SDE has no diffusion: define g(t, y) or g_prod(t, y, v)")
        return y, self._g_prod(t, y, v)

    def _member(self, name: str) -> Callable[..., Any] | None:
        """The member `name` with the context bound, or None."""
        member: Callable[..., Any] | None = getattr(self.sde, name, None)
        context = self.context
        if member is None or context is None:
            return member
        bound = member
        if isinstance(context, PerStep):
            contexts = context.contexts
            return lambda *args, **named: bound(*args, contexts[self._step], **named)
        return lambda *args, **named: bound(*args, context, **named)

    def _check_members(self) -> None:
        if self._f is None and self._f_and_g is None and self._f_and_g_prod is None:
            raise InputError(
                f"{type(self.sde).__name__} is not an SDE: it needs f(t, y) and g(t, y), or "
                "f_and_g(t, y), and the attributes sde_type and noise_type"
            )
        sources = (self._g, self._g_prod, self._f_and_g, self._f_and_g_prod)
        if self.noise_type != "none" and all(source is None for source in sources):
            raise InputError(
                f"{type(self.sde).__name__} has noise_type {self.noise_type!r} but no g(t, y); "
                "define it, or set noise_type = 'none' for an ODE"
            )


def _channels(width: Any) -> int:
    """The number of Brownian channels, at least one."""
    if int(width) < 1:
        raise InputError(f"noise_dim must be at least 1, got {width}; an ODE has noise_type 'none'")
    return int(width)


def _fitting(name: str, found: Tensor, y: Tensor) -> Tensor:
    """A value of the SDE at the states y, checked for their shape and dtype."""
    if found.shape != y.shape:
        raise InputError(
            f"the {name} must have shape {tuple(y.shape)} (noise_type), got {tuple(found.shape)}"
        )
    return found if found.dtype == y.dtype else _same_dtype(name, found, y)


def _same_dtype(name: str, found: Tensor, y: Tensor) -> Tensor:
    """Refuse numbers that would change the dtype of the state; less precise ones are welcome."""
    if torch.promote_types(found.dtype, y.dtype) != y.dtype:
        raise InputError(
            f"the {name} is {found.dtype}, the state {y.dtype}; convert the SDE or y0, for "
            f"instance y0.to({found.dtype})"
        )
    return found
