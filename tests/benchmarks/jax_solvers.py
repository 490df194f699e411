"""JAX against the same floor, where diffrax is installed: its solver, and a bare fused scan.

Workloads, networks and step length are those of `solvers`. Compiling is not in the figures. What is
left of them is what fusing a whole solve is worth: on small networks an eager loop cannot reach it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tests.benchmarks.harness import Row, times
from tests.benchmarks.solvers import A, B, H, Setting, Workload

# one thread, like torch in these benchmarks; read when jax starts
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")


def rows(rounds: int) -> list[Row]:
    if importlib.util.find_spec("diffrax") is None:
        sys.stdout.write("diffrax is not installed: the rows on JAX are left out\n")
        return []
    return [row for load in (A, B) for back in (False, True) for row in against(load, back, rounds)]


def against(load: Workload, backward: bool, rounds: int) -> list[Row]:
    s = Setting(load, backward)
    versions = {
        "floor": s.plain("floor"),
        "euler": s.ours("euler"),
        "JAX scan, euler": version(s, scan),
        "diffrax euler, virtual tree": version(s, tree),
    }
    if not backward:
        # without rejections its cheaper noise serves as well, but not with its adjoint
        versions["diffrax euler, unsafe path"] = version(s, unsafe)
    t = times(versions, rounds)
    job = f"{load.name} {'f+b' if backward else 'fwd'}"
    return [Row(job, f"{name} / floor", t[name] / t["floor"]) for name in list(versions)[1:]]


def version(s: Setting, forward: Callable[..., Any]) -> Callable[[], object]:
    """A compiled solve, or its gradient by all parameters."""
    import jax
    import jax.numpy as jnp

    networks = layers(s.ito.drift), layers(s.ito.diffusion)
    y0 = jnp.asarray(s.y0.numpy())

    def end(parameters: Any, key: Any) -> Any:
        return forward(s, parameters, y0, key)

    def loss(parameters: Any, key: Any) -> Any:
        return (end(parameters, key) ** 2).sum()

    compiled, key = jax.jit(jax.grad(loss) if s.backward else end), jax.random.key(0)
    return lambda: jax.block_until_ready(compiled(networks, key))


def layers(network: nn.Sequential) -> list[tuple[Any, Any]]:
    """Weights and biases of a dense torch network."""
    import jax.numpy as jnp

    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        return [(jnp.asarray(x.weight.numpy()), jnp.asarray(x.bias.numpy())) for x in linear]


def evaluate(network: list[tuple[Any, Any]], y: Any) -> Any:
    import jax.numpy as jnp

    for k, (weight, bias) in enumerate(network):
        y = y @ weight.T + bias
        y = jnp.tanh(y) if k < len(network) - 1 else y
    return y


def scan(s: Setting, networks: Any, y0: Any, key: Any) -> Any:
    """Euler as one fused loop over increments drawn at once."""
    import jax

    drift, diffusion = networks
    noise = H**0.5 * jax.random.normal(key, (s.load.n_steps, *y0.shape))

    def step(y: Any, w: Any) -> tuple[Any, None]:
        return y + H * evaluate(drift, y) + evaluate(diffusion, y) * w, None

    return jax.lax.scan(step, y0, noise)[0]


def tree(s: Setting, networks: Any, y0: Any, key: Any) -> Any:
    """diffrax's Euler on its virtual Brownian tree."""
    import diffrax

    path = diffrax.VirtualBrownianTree(0.0, s.end, tol=H / 2, shape=y0.shape, key=key)
    return diffrax_euler(s, networks, y0, path, diffrax.RecursiveCheckpointAdjoint())


def unsafe(s: Setting, networks: Any, y0: Any, key: Any) -> Any:
    """diffrax's Euler on increments drawn as it goes."""
    import diffrax

    path = diffrax.UnsafeBrownianPath(shape=y0.shape, key=key)
    return diffrax_euler(s, networks, y0, path, diffrax.ForwardMode())


def diffrax_euler(s: Setting, networks: Any, y0: Any, path: Any, adjoint: Any) -> Any:
    import diffrax
    import lineax

    drift, diffusion = networks
    terms = diffrax.MultiTerm(
        diffrax.ODETerm(lambda t, y, args: evaluate(drift, y)),
        diffrax.ControlTerm(
            lambda t, y, args: lineax.DiagonalLinearOperator(evaluate(diffusion, y)), path
        ),
    )
    options = {"dt0": H, "y0": y0, "max_steps": 2 * s.load.n_steps, "adjoint": adjoint}
    return diffrax.diffeqsolve(terms, diffrax.Euler(), 0.0, s.end, **options).ys[-1]
