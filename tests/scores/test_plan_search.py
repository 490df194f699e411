"""Searched plans beside fixed ones on starts of their own, and their cost."""

import numpy as np
import pytest
import torch

from tests.scores.laws import ring, rms
from trajinfer import InputError
from trajinfer.scores import sample, search_plan

LEVELS = (40.0, 0.01)


@pytest.fixture(scope="module")
def plan():
    return search_plan(ring(), 5, levels=LEVELS, n_starts=64, n_iter=120)


@pytest.fixture(scope="module")
def fresh():
    """Starts that the search has not seen, and where the exact flow takes them."""
    law = ring()
    start = law.mean + LEVELS[0] * torch.randn(
        200, 2, generator=torch.Generator().manual_seed(9), dtype=torch.float64
    )
    settings = {"start": start, "levels": LEVELS, "jump": False, "grid": "lambda"}
    return start, sample(law, n_evaluations=600, method="singlestep", order=3, **settings)


def test_a_searched_plan_is_better_on_starts_it_has_not_seen(plan, fresh):
    start, exact = fresh
    law, settings = ring(), {"start": start, "levels": LEVELS, "n_evaluations": 5}
    searched = rms(sample(law, plan=plan, **settings) - exact)
    plain = rms(sample(law, jump=False, order=2, corrector=False, **settings) - exact)
    assert searched <= 0.6 * plain
    assert plan.error <= searched * 1.5


def test_a_plan_is_for_what_it_was_searched_for(plan):
    assert plan.n_evaluations == 5
    assert plan.dim == 2
    assert (np.diff(plan.rhos) < 0).all()
    assert all(order <= i + 1 for i, order in enumerate(plan.orders))
    law = ring()
    with pytest.raises(InputError, match="evaluations"):
        sample(law, 3, plan=plan, levels=LEVELS, n_evaluations=6)
    with pytest.raises(InputError, match="levels"):
        sample(law, 3, plan=plan, levels=(20.0, 0.01), n_evaluations=5)


def test_a_denoiser_without_moments_has_no_starts():
    with pytest.raises(InputError, match="mean and covariance"):
        search_plan(lambda y, rho: y, 5, levels=LEVELS)
    with pytest.raises(InputError, match="n_evaluations"):
        search_plan(ring(), 0)
