"""A recurrent network that tells real from generated series: fixed gates, a trained readout."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import RidgeCV

from trajinfer._core.checks import Array

_WIDTH = 128
_RADIUS = 0.9
_INPUT_SCALES = (0.3, 1.0, 2.0)
_RIDGES = np.logspace(0, 5, 6)
_MOST_PATHS = 1024


def discriminative_score(x: Array, y: Array, groups_x: Array, groups_y: Array, seed: int) -> float:
    r"""Accuracy above one half of a recurrent network on groups that its readout has not learned.

    The network has 128 leaky units with fixed random weights,

    $$h_t = h_{t-1} + \lambda \odot (\tanh(W u_t + U h_{t-1} + b) - h_{t-1}),$$

    over standardised levels and increments $u_t$; its last and its mean state are read out by a
    ridge regression on the labels.

    Args:
        x: (n, T, C).
        y: (m, T, C).
        groups_x: (n,) groups that are not cut.
        groups_y: (m,) likewise.
        seed: of the split and of the network.

    Returns:
        In [-1/2, 1/2]; 0 where the samples cannot be told apart. Both kinds of error count alike.

    References:
        Jaeger and Haas, "Harnessing nonlinearity", Science 304 (2004).
    """
    rng = np.random.default_rng(seed)
    parts = [_thirds(paths, groups, rng) for paths, groups in ((x, groups_x), (y, groups_y))]
    learned, asked = ([part[k] for part in parts] for k in (0, 1))
    inputs = [_inputs(part) for part in learned]
    whole = np.concatenate(inputs).reshape(-1, inputs[0].shape[2])
    shift, scale = whole.mean(axis=0), whole.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    seed_net = int(rng.integers(2**32))
    states = [_states((_inputs(p) - shift) / scale, seed_net) for p in (*learned, *asked)]
    design = np.concatenate(states[:2])
    centre, spread = design.mean(axis=0), design.std(axis=0) + 1e-9
    truth = np.repeat([-1.0, 1.0], [len(states[0]), len(states[1])])
    # both samples weigh the same however many paths they have
    weight = len(truth) / np.repeat([len(p) for p in states[:2]], [len(p) for p in states[:2]])
    readout = RidgeCV(_RIDGES).fit((design - centre) / spread, truth, sample_weight=weight)
    high = [readout.predict((part - centre) / spread) > 0 for part in states[2:]]
    return float((1 - high[0].mean() + high[1].mean()) / 2 - 0.5)


def _inputs(paths: Array) -> Array:
    """Levels and the increments that lead to them, (n, T, 2 C)."""
    return np.concatenate([paths, np.diff(paths, axis=1, prepend=paths[:, :1])], axis=2)


def _states(inputs: Array, seed: int) -> Array:
    """Last and mean state (n, 2 H) of the network over inputs (n, T, F)."""
    rng = np.random.default_rng(seed)
    n, n_times, n_inputs = inputs.shape
    into = rng.normal(size=(n_inputs, _WIDTH)) * rng.choice(_INPUT_SCALES, _WIDTH)
    into *= np.sqrt(2 / n_inputs)
    within = _RADIUS * rng.normal(size=(_WIDTH, _WIDTH)) / np.sqrt(_WIDTH)
    offset = rng.normal(size=_WIDTH)
    # memories from one row to the whole series
    leak = np.exp(rng.uniform(-np.log(n_times), 0.0, _WIDTH))
    state, total = np.zeros((n, _WIDTH)), np.zeros((n, _WIDTH))
    for t in range(n_times):
        state = state + leak * (np.tanh(inputs[:, t] @ into + state @ within + offset) - state)
        total += state
    return np.concatenate([state, total / n_times], axis=1)


def _thirds(paths: Array, groups: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Two thirds of the groups to learn from, one third to be asked, at most 1024 paths each."""
    names = rng.permutation(np.unique(groups))
    asked = np.isin(groups, names[: max(1, len(names) // 3)])
    return _few(paths[~asked], rng), _few(paths[asked], rng)


def _few(paths: Array, rng: np.random.Generator) -> Array:
    if len(paths) <= _MOST_PATHS:
        return paths
    return paths[rng.choice(len(paths), _MOST_PATHS, replace=False)]
