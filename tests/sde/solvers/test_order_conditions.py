"""Order conditions of every tableau, to 1e-11: a mistyped digit fails here."""

import numpy as np
import pytest

from trajinfer.sde.solvers.runge_kutta import BogackiShampine, HeunODE, Tsit5
from trajinfer.sde.solvers.sra import SOSRA, SOSRA2, SRA1, SRA3
from trajinfer.sde.solvers.sri import SOSRI, SOSRI2, SRIW1, SRIW2

TOLERANCE = 1e-11


def lower(rows):
    n = len(rows)
    matrix = np.zeros((n, n))
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
    return matrix


def sra_conditions(tab):
    """Rößler 2010, the 8 conditions of SRA methods: pairs of value and target."""
    a, b1, b2, c1 = (np.array(v) for v in (tab.a, tab.b1, tab.b2, tab.c1))
    noise, drift = lower(tab.B0).sum(1), lower(tab.A0).sum(1)
    return {
        "a e": (a.sum(), 1),
        "b1 e": (b1.sum(), 1),
        "b2 e": (b2.sum(), 0),
        "b1 c1": (b1 @ c1, 1),
        "b2 c1": (b2 @ c1, -1),
        "a A0 e": (a @ drift, 1 / 2),
        "a B0 e": (a @ noise, 1),
        "a (B0 e)^2": (a @ noise**2, 3 / 2),
    }


def sri_conditions(tab):
    """Rößler 2010, the 25 conditions of SRI methods."""
    A0, A1, B0, B1 = (lower(m) for m in (tab.A0, tab.A1, tab.B0, tab.B1))
    a, betas = np.array(tab.a), [np.array(b) for b in (tab.b1, tab.b2, tab.b3, tab.b4)]
    e = np.ones(4)
    found = {
        "a e": (a @ e, 1),
        "a A0 e": (a @ A0 @ e, 1 / 2),
        "a B0 e": (a @ B0 @ e, 1),
        "a (B0 e)^2": (a @ (B0 @ e) ** 2, 3 / 2),
        "b1 A1 B0 e": (betas[0] @ A1 @ B0 @ e / 2 + betas[2] @ A1 @ B0 @ e / 3, 0),
    }
    targets = {
        "e": (e, (1, 0, 0, 0)),
        "B1 e": (B1 @ e, (0, 1, 0, 0)),
        "A1 e": (A1 @ e, (1, 0, -1, 0)),
        "(B1 e)^2": ((B1 @ e) ** 2, (1, 0, -1, 2)),
        "B1 B1 e": (B1 @ B1 @ e, (0, 0, 0, 1)),
    }
    for name, (vector, wanted) in targets.items():
        for k, (beta, target) in enumerate(zip(betas, wanted), start=1):
            found[f"b{k} {name}"] = (beta @ vector, target)
    return found


def rk_conditions(A, b, order):
    """Butcher's conditions of all rooted trees up to order 5."""
    c, e = A.sum(1), np.ones(len(b))
    trees = [
        (1, e, 1),
        (2, c, 1 / 2),
        (3, c**2, 1 / 3),
        (3, A @ c, 1 / 6),
        (4, c**3, 1 / 4),
        (4, c * (A @ c), 1 / 8),
        (4, A @ c**2, 1 / 12),
        (4, A @ A @ c, 1 / 24),
        (5, c**4, 1 / 5),
        (5, c**2 * (A @ c), 1 / 10),
        (5, c * (A @ c**2), 1 / 15),
        (5, c * (A @ A @ c), 1 / 30),
        (5, (A @ c) ** 2, 1 / 20),
        (5, A @ c**3, 1 / 20),
        (5, A @ (c * (A @ c)), 1 / 40),
        (5, A @ A @ c**2, 1 / 60),
        (5, A @ A @ A @ c, 1 / 120),
    ]
    return {f"tree {i}": (b @ v, t) for i, (p, v, t) in enumerate(trees) if p <= order}


def check(conditions):
    worst = {name: value - target for name, (value, target) in conditions.items()}
    assert all(abs(gap) <= TOLERANCE for gap in worst.values()), worst


@pytest.mark.parametrize("solver", [SRA1, SRA3, SOSRA, SOSRA2])
def test_sra(solver):
    conditions = sra_conditions(solver.tableau)
    assert len(conditions) == 8
    check(conditions)


@pytest.mark.parametrize("solver", [SRIW1, SRIW2, SOSRI, SOSRI2])
def test_sri(solver):
    conditions = sri_conditions(solver.tableau)
    assert len(conditions) == 25
    check(conditions)


@pytest.mark.parametrize("solver", [Tsit5, BogackiShampine, HeunODE])
def test_runge_kutta(solver):
    tab, order = solver.tableau, int(solver.ode_order)
    A = lower(tab.A)
    check(rk_conditions(A, np.array(tab.weights), order))
    check({"c": (np.abs(A.sum(1) - np.array(tab.c)).max(), 0)})
    embedded = rk_conditions(A, np.array(tab.error), max(1, order - 2))
    check({name: (value, 0) for name, (value, _) in embedded.items()})


def test_a_wrong_sign_is_caught():
    """SRA2 as once published with b2 of the wrong sign fails a condition."""
    tab = SRA1.tableau
    flipped = type(tab)(tab.A0, tab.B0, tab.a, tab.c1, tab.b1, tuple(-b for b in tab.b2))
    with pytest.raises(AssertionError):
        check(sra_conditions(flipped))
