import numpy as np
import pytest
import torch
from scipy import stats

from trajinfer.references.stratified import draw_atoms, draw_partners


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_every_atom_is_drawn_as_often_as_its_mass_says_up_to_one(rng):
    mass = torch.as_tensor(rng.dirichlet(np.ones(37)))
    for n in (1, 10, 1000):
        counts = torch.bincount(draw_atoms(mass, n, generator(n)), minlength=37)
        assert counts.sum() == n
        assert (counts - n * mass).abs().max() < 1 + 1e-9


def test_atoms_without_mass_are_never_drawn():
    mass = torch.tensor([0.0, 0.5, 0.0, 0.5, 0.0], dtype=torch.float64)
    for seed in range(50):
        assert set(draw_atoms(mass, 7, generator(seed)).tolist()) <= {1, 3}


def test_the_order_is_random():
    mass = torch.full((10,), 0.1, dtype=torch.float64)
    draws = draw_atoms(mass, 10, generator())
    assert sorted(draws.tolist()) == list(range(10))
    assert draws.tolist() != sorted(draws.tolist())


def test_one_draw_has_the_law_of_the_masses():
    """Chi-square test at 1e-5."""
    mass = np.array([0.5, 0.3, 0.15, 0.05])
    shared = generator()
    counts = np.bincount(
        [int(draw_atoms(torch.as_tensor(mass), 1, shared)) for _ in range(4000)], minlength=4
    )
    assert stats.chisquare(counts, 4000 * mass).pvalue > 1e-5


def test_partners_have_the_law_of_their_row(rng):
    """Systematic along every row: counts within one of what the row says."""
    plan = torch.as_tensor(rng.dirichlet(np.ones(8), 5) / 5)
    atoms = torch.arange(5).repeat_interleave(100)[torch.randperm(500, generator=generator())]
    partners = draw_partners(plan, atoms, generator())
    for row in range(5):
        counts = torch.bincount(partners[atoms == row], minlength=8)
        assert counts.sum() == 100
        assert (counts - 500 * plan[row]).abs().max() < 1 + 1e-9


def test_one_partner_has_the_law_of_the_row():
    """Chi-square test at 1e-5; each call draws a fresh offset."""
    row = np.array([0.1, 0.0, 0.6, 0.3])
    plan, shared = torch.as_tensor(row)[None], generator()
    draws = [
        int(draw_partners(plan, torch.zeros(1, dtype=torch.long), shared)) for _ in range(2000)
    ]
    counts = np.bincount(draws, minlength=4)
    assert counts[1] == 0
    assert stats.chisquare(counts[[0, 2, 3]], 2000 * row[[0, 2, 3]]).pvalue > 1e-5


@pytest.mark.parametrize("position", [0, 3, 6])
def test_partners_without_mass_are_never_drawn(position):
    plan = torch.full((4, 7), 1 / 28, dtype=torch.float64)
    plan[:, position] = 0.0
    atoms = torch.arange(4).repeat(200)
    for seed in range(20):
        assert position not in draw_partners(plan, atoms, generator(seed)).tolist()


def test_rows_that_are_not_drawn_do_not_matter():
    plan = torch.tensor([[0.0, 0.0], [0.5, 0.5], [0.0, 0.0]], dtype=torch.float64)
    partners = draw_partners(plan, torch.ones(10, dtype=torch.long), generator())
    assert torch.bincount(partners).tolist() == [5, 5]


def test_all_draws_of_a_coupling_reproduce_its_marginals(rng):
    plan = torch.as_tensor(rng.dirichlet(np.ones(30 * 20)).reshape(30, 20))
    n = 5000
    atoms = draw_atoms(plan.sum(1), n, generator(1))
    partners = draw_partners(plan, atoms, generator(2))
    found = torch.bincount(partners, minlength=20) / n
    # every row is off by less than one draw per cell; over 30 rows that is at most 30 / n
    assert (found - plan.sum(0)).abs().max() < 60 / n
    # multinomial draws would be off by .0031 on average here
    assert (found - plan.sum(0)).square().mean().sqrt() < 0.0015


def test_partner_and_rank_are_independent_of_where_a_draw_stands():
    """Draws are in random order, so neighbours in the result are not neighbours in the row."""
    plan = torch.full((1, 100), 0.01, dtype=torch.float64)
    atoms = draw_atoms(plan.sum(1), 1000, generator(1))
    partners = draw_partners(plan, atoms, generator(2))
    assert torch.bincount(partners, minlength=100).tolist() == [10] * 100


def test_a_path_through_many_segments_forgets_its_rank():
    """Chained draws: with independent rows x_0 and x_2 must be uncorrelated (z-test, 1e-5)."""
    n_atoms, n = 50, 20_000
    plan = torch.full((n_atoms, n_atoms), 1 / n_atoms**2, dtype=torch.float64)
    shared = generator(3)
    first = draw_atoms(plan.sum(1), n, shared)
    second = draw_partners(plan, first, shared)
    third = draw_partners(plan, second, shared)
    for a, b in ((first, second), (second, third), (first, third)):
        r = np.corrcoef(a.numpy(), b.numpy())[0, 1]
        assert abs(r) * np.sqrt(n) < stats.norm.isf(5e-6)
