"""Random Markov jump processes and what is seen of them: the training data of the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from trajinfer._core.checks import Array
from trajinfer.markov.rates import with_diagonal
from trajinfer.recognition.statistics import N_BINS, PathStatistics, bin_of, summarise

HORIZON, N_FINE = 10.0, 100
_MEAN_RATE = 0.3145
_SHAPES = [(a, b) for a in (1.0, 2.0) for b in (1.0, 5.0, 10.0)]


@dataclass(frozen=True)
class Batch:
    """B processes with S states, and statistics of K paths of each.

    Attributes:
        rates: (B, S, S) true rates, off the diagonal.
        initial: (B, S) law of the first state.
        error: (B,) probability of a wrong label.
        known: (B,) whether the network is told that probability.
        statistics: of the observed paths.
        n_paths: K.
    """

    rates: Array
    initial: Array
    error: Array
    known: Array
    statistics: PathStatistics
    n_paths: int


def draw_rates(n: int, n_states: int, generator: np.random.Generator, *, wide: bool) -> Array:
    """(n, S, S) off-diagonal rates: mixed Beta laws, half of the processes with missing links.

    With `wide`, a third has rates spread log-uniformly over three decades, a quarter is driven over
    barriers, and most are sped up or slowed down; else the matrices follow the published prior.

    References:
        Berghaus et al., Foundation Inference Models for Markov Jump Processes, NeurIPS 2024.
    """
    if wide:
        shares = {"spread": 1 / 3, "barriers": 0.25, "same": 0.4}
        return _draw_mixed(n, n_states, generator, slowest=0.25, **shares)
    return _draw_mixed(n, n_states, generator, spread=0.0, barriers=0.0, same=1.0, slowest=1.0)


def _draw_mixed(
    n: int,
    n_states: int,
    generator: np.random.Generator,
    *,
    spread: float,
    barriers: float,
    same: float,
    slowest: float,
) -> Array:
    """Rates of which a share `spread` covers three decades, a share `barriers` is driven over
    barriers, and all but a share `same` change speed.

    The speed is log-uniform from `slowest` to 3; a slow process is a short recording, as only the
    product of rates and horizon matters.
    """
    shape = (n, n_states, n_states)
    pick = generator.integers(len(_SHAPES), size=shape)
    a, b = np.array(_SHAPES)[pick].transpose(3, 0, 1, 2)
    rates = generator.beta(a, b)
    links = _draw_links(n, n_states, generator)
    if spread > 0:
        decades = 10.0 ** generator.uniform(-2.5, 0.5, shape)
        rates = np.where(generator.random((n, 1, 1)) < spread, decades, rates)
    rates = rates * links
    if barriers > 0:
        driven = draw_driven(n, n_states, generator)
        rates = np.where(generator.random((n, 1, 1)) < barriers, driven, rates)
    if same < 1:
        speed = np.exp(generator.uniform(np.log(slowest), np.log(3.0), n))
        rates = rates * np.where(generator.random(n) < same, 1.0, speed)[:, None, None]
    return np.asarray(rates)


def draw_driven(n: int, n_states: int, generator: np.random.Generator) -> Array:
    r"""Rates over barriers between states of some energy, as of molecules and machines.

    $F_{ij} \propto k_{ij} e^{(E_i - E_j + A_{ij}) / 2}$ with symmetric k, 1 for half of the
    processes, and antisymmetric driving A, 0 for half of them (detailed balance). Links go both
    ways. The mean rate is that of the published prior.
    """
    shape = (n, n_states, n_states)
    size = generator.uniform(0.0, [2.0, 1.0, 1.5], (n, 3)) * (
        generator.random((n, 3)) < [2, 0.5, 0.5]
    )
    energy = generator.normal(size=shape[:2]) * size[:, :1]
    barrier, drive = generator.normal(size=(2, *shape))
    barrier = (barrier + barrier.transpose(0, 2, 1)) * size[:, 1, None, None] / np.sqrt(2)
    drive = (drive - drive.transpose(0, 2, 1)) * size[:, 2, None, None] / np.sqrt(2)
    links = _draw_links(n, n_states, generator, both_ways=True)
    rates = np.exp(barrier + (energy[:, :, None] - energy[:, None] + drive) / 2) * links
    return np.asarray(rates * (_MEAN_RATE * links.sum((1, 2)) / rates.sum((1, 2)))[:, None, None])


def _draw_links(
    n: int, n_states: int, generator: np.random.Generator, *, both_ways: bool = False
) -> Array:
    """Half fully connected; the others with each link present by a coin, redrawn if reducible."""
    off = ~np.eye(n_states, dtype=bool)
    links = np.broadcast_to(off, (n, n_states, n_states)).copy()
    open_rows = np.flatnonzero(generator.random(n) < 0.5)
    for _ in range(20):
        coins = generator.random((len(open_rows), n_states, n_states))
        if both_ways:
            coins = np.maximum(coins, coins.transpose(0, 2, 1)) ** 2
        links[open_rows] = (coins < 0.5) & off
        power = np.linalg.matrix_power(
            (links[open_rows] | np.eye(n_states, dtype=bool)).astype(float), n_states - 1
        )
        open_rows = open_rows[(power == 0).any(axis=(1, 2))]
        if not len(open_rows):
            break
    links[open_rows] = off
    return links


def draw_laws(rates: Array, generator: np.random.Generator) -> Array:
    """(n, S) initial laws: stationary for half of the processes, else nearly uniform."""
    n, s = rates.shape[:2]
    full = torch.as_tensor(with_diagonal(rates))
    step = torch.linalg.matrix_exp(full * 1e3 / full.abs().amax(dim=(1, 2), keepdim=True))
    law = np.asarray(torch.linalg.matrix_power(step, 64)[:, 0].numpy()).clip(min=0)
    flat = generator.dirichlet(np.full(s, 50.0), size=n)
    chosen = np.where(generator.random((n, 1)) < 0.5, law, flat)
    return np.asarray(chosen / chosen.sum(axis=1, keepdims=True))


def skeleton_batch(
    rates: Array, laws: Array, n_paths: int, generator: np.random.Generator
) -> Array:
    """(B, K, 100) states on the fine grid, exactly."""
    b, s = laws.shape
    full = torch.as_tensor(with_diagonal(rates)) * (HORIZON / (N_FINE - 1))
    step = torch.linalg.matrix_exp(full).numpy().astype(np.float32)
    inner = np.cumsum(step, axis=2)[:, :, :-1].reshape(b * s, s - 1)
    base = np.repeat(np.arange(b) * s, n_paths)
    out = np.empty((N_FINE, b * n_paths), dtype=np.int64)
    first = np.cumsum(laws, axis=1)[:, :-1].repeat(n_paths, axis=0)
    state = (generator.random(b * n_paths)[:, None] > first).sum(axis=1)
    out[0] = state
    for t in range(1, N_FINE):
        u = generator.random(b * n_paths, dtype=np.float32)
        row = base + state
        state = (u > inner[row, 0]).astype(np.int64)
        for k in range(1, s - 1):
            state += u > inner[row, k]
        out[t] = state
    return out.T.reshape(b, n_paths, N_FINE)


def draw_grids(b: int, n_paths: int, generator: np.random.Generator) -> Array:
    """(B, K, 100) bool: every 1st to 4th point for half of the processes, else random points."""
    stride = generator.integers(1, 5, size=b)
    regular = (np.arange(N_FINE) % stride[:, None] == 0)[:, None, :]
    keep = generator.uniform(0.13, 0.65, size=(b, 1, 1)).astype(np.float32)
    random = generator.random((b, n_paths, N_FINE), dtype=np.float32) < keep
    return np.where(generator.random((b, 1, 1)) < 0.5, regular, random)


def observe(
    states: Array, grid: Array, error: Array, generator: np.random.Generator, n_states: int
) -> PathStatistics:
    """Statistics of labels seen at the points of the grid, wrong with probability `error` (B,)."""
    b, k, _ = states.shape
    owner, path, time = np.nonzero(grid)
    labels = states[owner, path, time]
    if (error > 0).any():
        wrong = generator.random(len(labels), dtype=np.float32) < error[owner]
        shift = generator.integers(1, n_states, size=int(wrong.sum()))
        labels[wrong] = (labels[wrong] + shift) % n_states
    times = time * (HORIZON / (N_FINE - 1))
    return summarise(owner, owner * k + path, times, labels, b, n_states)


def draw_batch(generator: np.random.Generator, *, max_size: int = 48) -> Batch:
    """One batch of the training prior; the number of states and of paths is shared by the batch.

    A fifth of the batches has one to three paths, many of them short, an eighth 300 to 6000.
    """
    amount = generator.choice(["few", "some", "many"], p=[0.2, 0.66, 0.14])
    n_states = int(
        generator.choice([2, 3, 4, 5, 6, 8, 10], p=[0.09, 0.12, 0.16, 0.16, 0.4, 0.04, 0.03])
    )
    if amount == "few":
        n_paths = int(generator.choice([1, 2, 3], p=[0.6, 0.2, 0.2]))
        shares = {"spread": 0.2, "barriers": 0.4, "same": 0.3}
        rates = _draw_mixed(2 * max_size, n_states, generator, slowest=0.1, **shares)
        return _observed(rates, n_paths, generator)
    least, most = (1, 300) if amount == "some" else (300, 6000)
    n_paths = int(np.round(np.exp(generator.uniform(np.log(least), np.log(most)))))
    size = max_size if n_paths < 100 or amount == "many" else max_size // 2
    rates = draw_rates(size, n_states, generator, wide=bool(generator.random() < 0.6))
    if amount == "some":
        return _observed(rates, n_paths, generator)
    laws, known = draw_laws(rates, generator), generator.random(size) < 0.6
    statistics = aggregate_statistics(rates, laws, n_paths, generator)
    return Batch(rates, laws, np.zeros(size), known, statistics, n_paths)


def _observed(rates: Array, n_paths: int, generator: np.random.Generator) -> Batch:
    """Paths of the processes drawn one by one, two in five without label noise."""
    size, n_states = rates.shape[:2]
    laws, known = draw_laws(rates, generator), generator.random(size) < 0.6
    noisy = np.exp(generator.uniform(np.log(1e-3), np.log(0.15), size))
    error = np.where(generator.random(size) < 0.4, 0.0, noisy)
    states = skeleton_batch(rates, laws, n_paths, generator)
    grid = draw_grids(size, n_paths, generator)
    statistics = observe(states, grid, error, generator, n_states)
    return Batch(rates, laws, error, known, statistics, n_paths)


def aggregate_statistics(
    rates: Array, laws: Array, n_paths: int, generator: np.random.Generator
) -> PathStatistics:
    """Noise-free statistics of many paths seen at common times, without drawing single paths.

    Given how many paths made the move i, j, those in j are split by a multinomial draw: the law of
    the counts of pairs and of returns is exact, the cost does not depend on the number of paths.
    """
    b, s = laws.shape
    grid = draw_grids(b, 1, generator)[:, 0]
    grid[:, :2] |= ~grid.any(axis=1, keepdims=True)
    full = torch.as_tensor(with_diagonal(rates))
    first = generator.multinomial(n_paths, laws).astype(float)
    last = np.full(b, -1)
    flow = np.zeros((b, s, s))
    moves: list[tuple[Array, Array, Array]] = []
    returns = np.zeros((b, s, s))
    for t in range(N_FINE):
        rows = np.flatnonzero(grid[:, t])
        fresh = rows[last[rows] < 0]
        flow[fresh] = 0.0
        flow[fresh, 0] = first[fresh]
        seen = rows[last[rows] >= 0]
        if len(seen):
            gap = (t - last[seen]) * (HORIZON / (N_FINE - 1))
            matrix = torch.linalg.matrix_exp(
                full[seen] * torch.as_tensor(gap)[:, None, None]
            ).numpy()
            law = matrix.clip(min=0) / matrix.clip(min=0).sum(axis=2, keepdims=True)
            split = generator.multinomial(flow[seen].astype(np.int64), law[:, None].repeat(s, 1))
            if t > 0:
                back = np.einsum("bijk,ik->bij", split, np.eye(s))
                started = np.count_nonzero(grid[seen, :t], axis=1) > 1
                returns[seen] += back * started[:, None, None]
            moves.append((seen, gap, split.sum(axis=1)))
            flow[seen] = split.sum(axis=1)
        last[rows] = t
    return _from_moves(
        moves, returns, n_paths * (grid.sum(axis=1) - 2.0).clip(min=0), first, n_paths
    )


def _from_moves(
    moves: list[tuple[Array, Array, Array]],
    returns: Array,
    triples: Array,
    first: Array,
    n_paths: int,
) -> PathStatistics:
    b, s = first.shape
    off = ~np.eye(s, dtype=bool)
    time, changed = np.zeros(b), np.zeros(b)
    for rows, gap, count in moves:
        time[rows] += gap * n_paths
        changed[rows] += (count * off).sum(axis=(1, 2))
    tau = np.where(time > 0, time, 1.0) / (1 + changed)
    counts, sums = np.zeros((b, N_BINS, s, s)), np.zeros((b, N_BINS))
    number, dwell = np.zeros((b, N_BINS)), np.zeros((b, s))
    for rows, gap, count in moves:
        scaled = gap / tau[rows]
        slot = bin_of(scaled)
        counts[rows, slot] += count
        sums[rows, slot] += scaled * n_paths
        number[rows, slot] += n_paths
        dwell[rows] += (count.sum(axis=2) + count.sum(axis=1)) * scaled[:, None] / 2
    return PathStatistics(counts, sums / np.maximum(number, 1), returns, triples, first, dwell, tau)
