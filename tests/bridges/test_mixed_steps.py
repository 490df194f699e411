"""Anderson mixing, on maps whose limit is known."""

import torch

from trajinfer.bridges.mixed_steps import MixedSteps


def test_moves_that_go_too_far_and_moves_that_hardly_advance_both_come_to_rest():
    rates = torch.tensor([-2.0, -0.9, 0.0, 0.6, 0.99], dtype=torch.float64).repeat(8)
    limit = torch.linspace(-3, 5, len(rates), dtype=torch.float64)
    mixed, mixed_at = MixedSteps(8), torch.zeros_like(limit)
    alone_at = mixed_at
    for _ in range(15):
        mixed_at = mixed.step(mixed_at, (rates - 1) * (mixed_at - limit))
        alone_at = alone_at + (rates - 1) * (alone_at - limit)
    assert (alone_at - limit).abs().max() > 1e3
    assert (mixed_at - limit).abs().max() < 1e-4


def test_a_limit_is_kept_and_equal_points_do_no_harm():
    mixed, here = MixedSteps(3), torch.ones(4, dtype=torch.float64)
    for _ in range(4):
        assert torch.equal(mixed.step(here, torch.zeros_like(here)), here)
