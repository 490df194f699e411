"""The tensors a solve is differentiated by, for gradients that do not go through the loop."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trajinfer._core.errors import IncompatibleSolver, UntrackedContext
from trajinfer.sde.problem import Problem


class Tracked:
    """Parameters of an SDE and tensors of its context that require a gradient.

    Context tensors are found in tensors, lists, tuples, dicts and plain objects, such as paths with
    coefficient tensors, nested in any way.

    Attributes:
        parameters: leaves that the networks read directly.
        context: tensors of the context, leaves or results of an encoder.
    """

    def __init__(self, problem: Problem) -> None:
        modules = [m for m in (problem.sde, problem.context) if isinstance(m, nn.Module)]
        self.parameters = [p for m in modules for p in m.parameters() if p.requires_grad]
        found: list[Tensor] = []

        def note(x: Tensor) -> Tensor:
            found.append(x)
            return x

        _map_tensors(problem.context, note)
        known = {id(p) for p in self.parameters}
        self.context = [x for x in found if x.requires_grad and id(x) not in known]
        self._problem = problem

    def inputs(self) -> list[Tensor]:
        """All of them, in the order of the gradients."""
        return [*self.parameters, *self.context]

    def detached(self) -> tuple[Problem, list[Tensor]]:
        """The problem with context tensors cut off from what made them, and the new inputs."""
        fresh = [x.detach().requires_grad_() for x in self.context]
        if not fresh:
            return self._problem, self.inputs()
        swap = {id(old): new for old, new in zip(self.context, fresh)}
        context = _map_tensors(self._problem.context, lambda x: swap.get(id(x), x))
        return self._problem.with_context(context), [*self.parameters, *fresh]

    def check(self, results: Iterable[Tensor], inputs: Sequence[Tensor]) -> None:
        """Refuse results that depend on a leaf which is not among the inputs.

        Raises:
            UntrackedContext: naming the shape of the tensor found.
        """
        known = {id(x) for x in inputs}
        for leaf in _leaves(results):
            if id(leaf) not in known:
                raise UntrackedContext(
                    f"the drift or diffusion uses a tensor of shape {tuple(leaf.shape)} that "
                    "requires a gradient but is neither a parameter of the SDE nor in its context; "
                    "pass it as context=, or use gradient='backprop' or 'checkpoint'"
                )


def _leaves(results: Iterable[Tensor]) -> Iterable[Tensor]:
    """Leaf tensors that require a gradient, behind some results."""
    nodes = [r.grad_fn for r in results if r.grad_fn is not None]
    visited = set(nodes)
    while nodes:
        node = nodes.pop()
        variable = getattr(node, "variable", None)
        if variable is not None:
            yield variable
        for following, _ in node.next_functions:
            if following is not None and following not in visited:
                visited.add(following)
                nodes.append(following)


def _map_tensors(
    value: Any, change: Callable[[Tensor], Any], done: dict[int, Any] | None = None
) -> Any:
    """The same structure with `change` applied to every tensor; objects may refer to each other."""
    done = {} if done is None else done
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, nn.Module) or value is None:
        return value
    if isinstance(value, dict):
        return {key: _map_tensors(part, change, done) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [_map_tensors(part, change, done) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if not hasattr(value, "__dict__"):
        return value
    if id(value) not in done:
        done[id(value)] = changed = copy.copy(value)
        for name, part in vars(value).items():
            object.__setattr__(changed, name, _map_tensors(part, change, done))
    return done[id(value)]


def gradients(
    results: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Sequence[Tensor]
) -> list[Tensor]:
    """Vector-Jacobian products, zero for inputs that are not used."""
    pairs = [(r, c) for r, c in zip(results, cotangents) if r.requires_grad]
    if not pairs:
        return [torch.zeros_like(x) for x in inputs]
    live, weights = zip(*pairs)
    found = torch.autograd.grad(live, inputs, weights, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs)]


def refuse_second(gradient: str) -> None:
    """Raise where a backward pass is to be differentiated itself (create_graph=True).

    Raises:
        IncompatibleSolver: naming the gradients that can be.
    """
    if torch.is_grad_enabled():
        raise IncompatibleSolver(
            f"gradient={gradient!r} gives no second derivatives; use 'backprop' or 'checkpoint'"
        )
