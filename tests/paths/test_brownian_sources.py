"""Laws and identities of the sources of Brownian noise; z tests with alpha about 1e-5 or less."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from trajinfer._core.errors import BrownianMismatch, InputError, TimeGridError
from trajinfer.paths import BrownianGrid, BrownianStack, BrownianTable, BrownianTree
from trajinfer.paths.brownian import require_match
from trajinfer.paths.counter import normal_pair
from trajinfer.paths.levy_area import join, split

F64 = torch.float64


def normals(n, k, seed=0):
    return torch.randn(k, n, generator=torch.Generator().manual_seed(seed), dtype=F64)


# --- splitting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("l", "r"), [(0.5, 0.5), (0.1, 0.9), (1.7, 0.3)])
def test_splitting_law(l, r):
    """All ten second moments of (W_l, H_l, W_r, H_r) within 4 standard errors at 1e6 draws."""
    n, h = 1_000_000, l + r
    z = normals(n, 4, seed=1)
    w, area = z[0] * math.sqrt(h), z[1] * math.sqrt(h / 12)
    parts = torch.stack(split(w, area, l, r, z[2], z[3]))
    expected = torch.diag(torch.tensor([l, l / 12, r, r / 12], dtype=F64))
    found = parts @ parts.T / n
    var = expected.diagonal()
    error = torch.sqrt((torch.outer(var, var) + expected**2) / n)
    assert ((found - expected).abs() < 4 * error).all()


def test_parts_join_to_the_whole():
    w, area, z1, z2 = normals(100, 4)
    w1, h1, w2, h2 = split(w, area, 0.3, 0.9, z1, z2)
    joined = join(0.3, w1, h1, 0.9, w2, h2)
    torch.testing.assert_close(torch.stack(joined), torch.stack([w, area]), rtol=0, atol=1e-14)
    assert all(torch.equal(v, torch.zeros_like(v)) for v in split(w, area, 0.0, 1.0, z1, z2)[:2])


# --- stack -------------------------------------------------------------------------------------


def test_stack_has_the_law_of_brownian_motion_under_rejection():
    """W and H over a fixed partition, joined from the accepted pieces, after many rejections."""
    n = 20_000
    stack = BrownianStack((n, 1), random_state=3, dtype=F64)
    rows = []
    for cell in range(3):
        total = None
        for t0, t1, w, area in cells(stack, cell):
            total = (
                (t1 - t0, w, area)
                if total is None
                else (
                    total[0] + t1 - t0,
                    *join(total[0], total[1], total[2], t1 - t0, w, area),
                )
            )
        assert total[0] == pytest.approx(1.0)
        rows += [total[1][:, 0], total[2][:, 0] * math.sqrt(12)]
    found = torch.stack(rows) @ torch.stack(rows).T / n
    error = torch.where(torch.eye(6, dtype=torch.bool), math.sqrt(2 / n), math.sqrt(1 / n))
    assert ((found - torch.eye(6, dtype=F64)).abs() < 5 * error).all()


def cells(stack, k):
    """Accepted pieces of the unit interval number k."""
    choose, accepted, t = np.random.default_rng(k), [], 0.0
    while t < 1.0 - 1e-12:
        h = choose.uniform(0.02, 0.6)
        w, area = stack.propose(h)
        if t + h > 1.0 or choose.uniform() < 0.6:
            h = min(h * choose.choice([0.5, 0.3, 0.9]), 1.0 - t)
            w, area = stack.reject(h)
        stack.accept()
        accepted.append((t, t + h, w, area))
        t += h
    return accepted


def test_stack_keeps_what_it_knows():
    """Halving twice and walking on gives back the pieces of the first proposal exactly."""
    stack = BrownianStack((5, 2), random_state=1, dtype=F64)
    w, area = stack.propose(1.0)
    stack.reject(0.5)
    w1, h1 = stack.reject(0.25)
    stack.accept()
    w2, h2 = stack.propose(0.25)
    stack.accept()
    w3, h3 = stack.propose(0.5)
    stack.accept()
    assert stack.n_known == 0
    half = join(0.25, w1, h1, 0.25, w2, h2)
    whole = join(0.5, *half, 0.5, w3, h3)
    torch.testing.assert_close(torch.stack(whole), torch.stack([w, area]), rtol=0, atol=1e-14)


def test_stack_refuses_misuse():
    stack = BrownianStack((1, 1), random_state=0)
    with pytest.raises(InputError, match="no step is waiting"):
        stack.accept()
    stack.propose(1.0)
    with pytest.raises(InputError, match="may wait"):
        stack.propose(1.0)
    with pytest.raises(InputError, match="get shorter"):
        stack.reject(1.0)
    stack.accept()
    with pytest.raises(TimeGridError, match="stands at 1"):
        stack.increments(0.0, 1.0)
    assert stack.increments(1.0, 1.5).shape == (1, 1)


# --- tree --------------------------------------------------------------------------------------


def test_counter_normals_are_normal_and_repeatable():
    z1, z2 = normal_pair(7, torch.arange(200_000))
    for z in (z1, z2):
        assert stats.kstest(z.numpy(), "norm").pvalue > 1e-5
    assert abs(torch.corrcoef(torch.stack([z1, z2]))[0, 1]) < 5 / math.sqrt(2e5)
    assert abs(torch.corrcoef(torch.stack([z1[1:], z1[:-1]]))[0, 1]) < 5 / math.sqrt(2e5)
    assert torch.equal(normal_pair(7, torch.arange(10))[0], z1[:10])
    assert not torch.equal(normal_pair(8, torch.arange(10))[0], z1[:10])


def test_tree_depends_on_seed_and_time_only():
    tree = BrownianTree(0.0, 2.0, (3, 2), random_state=5, dtype=F64)
    times = np.array([0.1, 0.123456, 1.0, 1.7, 2.0])
    w, area = tree.evaluate(times)
    again, other = tree.evaluate(times[::-1].copy()), tree.spawn(1).evaluate(times)
    assert torch.equal(again[0].flip(0), w)
    assert torch.equal(again[1].flip(0), area)
    assert not torch.equal(other[0], w)
    own = tree.evaluate(np.tile(times, (3, 1)) + np.array([[0], [0], [1e-3]]) * (times < 1.9))
    torch.testing.assert_close(own[0][:, :2], w[:, :2])
    torch.testing.assert_close(torch.stack(tree.increments(0.1, 1.0, True))[0], w[2] - w[0])


def test_tree_increments_add_up():
    tree = BrownianTree(0.0, 1.0, (4, 1), random_state=2, dtype=F64)
    w1, h1 = tree.increments(0.1, 0.37, True)
    w2, h2 = tree.increments(0.37, 0.9, True)
    whole = tree.increments(0.1, 0.9, True)
    torch.testing.assert_close(
        torch.stack(join(0.27, w1, h1, 0.53, w2, h2)), torch.stack(whole), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("tol", [None, 0.3, 2.0])
def test_tree_has_the_law_of_brownian_motion(tol):
    """W, H over [0.2, 0.5] and [0.5, 1.3]: all moments, also with very coarse leaves.

    With a coarse leaf only queries in different leaves are jointly Brownian, so these times lie on
    either side of leaf ends.
    """
    n = 40_000
    times = np.array([0.0, 0.75, 1.5, 3.0]) if tol else np.array([0.2, 0.5, 1.3, 3.0])
    tree = BrownianTree(0.0, 3.0, (n, 1), random_state=4, tol=tol, dtype=F64)
    noise = tree.steps(0, times, "WH", 0)
    h = torch.as_tensor(np.diff(times))
    if tol == 2.0:
        noise, h = noise._replace(W=noise.W[2:], H=noise.H[2:]), h[2:]
    rows = torch.cat(
        [noise.W[..., 0] / h[:, None].sqrt(), noise.H[..., 0] / (h[:, None] / 12).sqrt()]
    )
    k = len(rows)
    found = rows @ rows.T / n
    error = torch.where(torch.eye(k, dtype=torch.bool), math.sqrt(2 / n), math.sqrt(1 / n))
    assert ((found - torch.eye(k, dtype=F64)).abs() < 5 * error).all()


def test_tree_at_its_edges():
    tree = BrownianTree(0.0, 1.0, (2, 1), random_state=0)
    beyond = np.nextafter(np.nextafter(1.0, 2.0), 2.0)
    assert torch.equal(tree.evaluate([beyond])[0], tree.evaluate([1.0])[0])
    assert tree.evaluate([0.0])[0].abs().max() == 0
    for t in (1.0 + 1e-9, -1e-9, math.nan):
        with pytest.raises(TimeGridError, match="outside the range"):
            tree.evaluate([t])
    close = tree.evaluate([0.5, 0.5 + 1e-12])[0]
    assert (close[0] - close[1]).abs().max() < 1e-4


# --- grid and table ----------------------------------------------------------------------------


def test_grid_chunks_can_be_drawn_again_in_any_order():
    times = np.linspace(0, 1, 101)
    grid = BrownianGrid(times, (4, 3), random_state=9)
    whole = BrownianGrid(times, (4, 3), random_state=9).steps(0, times, "WH", 0)
    for first, last in ((64, 96), (0, 5), (30, 70), (99, 100)):
        part = grid.steps(first, times[first : last + 1], "WHZ", 5)
        assert torch.equal(part.W, whole.W[first:last])
        assert torch.equal(part.H, whole.H[first:last])
        assert part.Z.shape == (last - first, 4, 5)
    only_w = grid.steps(0, times, "W", 0)
    assert torch.equal(only_w.W, whole.W)
    assert not torch.equal(grid.spawn(1).steps(0, times, "W", 0).W, whole.W)


def test_grid_law():
    times = np.array([0.0, 0.5, 2.0])
    noise = BrownianGrid(times, (200_000, 1), random_state=1, dtype=F64).steps(0, times, "WH", 0)
    for k, h in enumerate(np.diff(times)):
        for x, var in ((noise.W[k, :, 0], h), (noise.H[k, :, 0], h / 12)):
            assert stats.kstest((x / math.sqrt(var)).numpy(), "norm").pvalue > 1e-5
    assert abs(torch.corrcoef(torch.stack([noise.W[0, :, 0], noise.H[0, :, 0]]))[0, 1]) < 0.012


def test_grid_refuses_other_steps():
    grid = BrownianGrid(np.linspace(0, 1, 5), (1, 1), random_state=0)
    assert grid.increments(0.25, 0.5, need_H=True)[1].shape == (1, 1)
    with pytest.raises(TimeGridError, match="not a step"):
        grid.increments(0.25, 0.6)
    with pytest.raises(TimeGridError, match="not those of the BrownianGrid"):
        grid.steps(0, np.array([0, 0.3]), "W", 0)


def test_table():
    w = torch.arange(12.0).reshape(2, 3, 2)
    table = BrownianTable(w, times=np.array([0, 1, 2, 3.0]))
    assert torch.equal(table.increments(1.0, 2.0), w[:, 1])
    with pytest.raises(TimeGridError):
        table.increments(0.5, 2.0)
    with pytest.raises(BrownianMismatch, match="space-time"):
        table.increments(0.0, 1.0, need_H=True)
    with pytest.raises(BrownianMismatch, match="cannot draw"):
        table.spawn(1)
    with pytest.raises(InputError):
        BrownianTable(w, w[:1])
    with pytest.raises(BrownianMismatch, match=r"H torch\.float64"):
        BrownianTable(w, w.double())
    with pytest.raises(BrownianMismatch, match=r"Z torch\.float64"):
        BrownianTable(w, w, w.double())
    with pytest.raises(BrownianMismatch, match="float64"):
        require_match(table, (2, 2), F64, w.device)


@pytest.mark.parametrize(
    "make",
    [
        lambda: BrownianGrid(np.array([0, 1.0]), (1, 1), random_state=0),
        lambda: BrownianTree(0.0, 1.0, (1, 1), random_state=0),
        lambda: BrownianStack((1, 1), random_state=0),
    ],
)
def test_global_random_state_is_left_alone(make):
    before = torch.get_rng_state()
    make().steps(0, np.array([0, 1.0]), "WH", 0)
    assert torch.equal(before, torch.get_rng_state())
