"""The loop, its callbacks, and that a broken run goes on as if nothing had happened."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from trajinfer import training
from trajinfer._core.errors import InputError, NotConverged
from trajinfer._core.seeding import seeded, torch_generator
from trajinfer.training import (
    Batches,
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    Loss,
    Optimization,
    Progress,
    Recipe,
    WeightAverage,
    cosine,
    train,
)


def regression(seed=0):
    """A linear model with dropout on noisy lines, and its data."""
    generator = torch_generator(seed)
    x = torch.randn(60, 3, generator=generator)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.1 * torch.randn(60, 1, generator=generator)
    with seeded(seed):
        model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.BatchNorm1d(8), nn.Linear(8, 1))
    return model, x, y


def linear(n_in, *, bias=True):
    with seeded(0):
        return nn.Linear(n_in, 1, bias=bias)


def optimization_of(model, x, y, name="model", **settings):
    def objective(batch, _step):
        loss = ((model(x[batch]) - y[batch]) ** 2).mean()
        return Loss(loss, {"root": loss.sqrt()})

    return Optimization(
        name, model, objective, torch.optim.AdamW(model.parameters(), 0.02), **settings
    )


def test_batches_cover_every_item_once_per_epoch_and_depend_on_the_step_alone():
    batches = Batches(23, 5, seed=3)
    epochs = [
        torch.cat([batches.at(e * batches.per_epoch + k) for k in range(batches.per_epoch)])
        for e in range(2)
    ]
    assert all(sorted(epoch.tolist()) == list(range(23)) for epoch in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()
    late = Batches(23, 5, seed=3).at(7)
    assert torch.equal(late, batches.at(7))
    assert batches.at(0).tolist() != Batches(23, 5, seed=4).at(0).tolist()
    with pytest.raises(InputError, match="size"):
        Batches(3, 0, seed=0)


def test_training_reaches_the_least_squares_solution():
    model = linear(3)
    _, x, y = regression()
    optimum = torch.linalg.lstsq(torch.cat([x, torch.ones(60, 1)], 1), y).solution
    optimization = Optimization(
        "line",
        model,
        lambda batch, _: Loss(((model(x[batch]) - y[batch]) ** 2).mean()),
        torch.optim.Adam(model.parameters(), 0.05),
        schedule=cosine(300),
    )
    report = train([optimization], Batches(60, 60, seed=0), 300)
    found = torch.cat([model.weight.detach().T, model.bias.detach()[None]])
    assert torch.allclose(found, optimum, atol=1e-3)
    assert report.n_steps == 300
    assert report.stopped is None
    assert report.history[-1]["loss"] < report.history[0]["loss"]


def test_history_holds_means_over_the_epoch():
    model = linear(1)
    values = iter([1.0, 3.0, 5.0, 9.0])

    def objective(_batch, step):
        return Loss(model.weight.sum() * 0 + next(values), {"step": float(step)})

    optimization = Optimization("p", model, objective, torch.optim.SGD(model.parameters(), 0.1))
    rows = train([optimization], Batches(4, 2, seed=0), 4).history
    assert [row["loss"] for row in rows] == [2.0, 7.0]
    assert [row["step"] for row in rows] == [0.5, 2.5]


def test_two_optimizations_move_in_turn_and_leave_each_other_alone():
    one, two = linear(1), linear(1)

    def coupled(_batch, _step):
        return Loss((one.weight * two.weight + one.bias + two.bias).sum())

    def optimization(name, module, every):
        return Optimization(
            name, module, coupled, torch.optim.SGD(module.parameters(), 1.0), every=every
        )

    start = two.bias.item()
    report = train([optimization("a", one, 1), optimization("b", two, 3)], Batches(1, 1, seed=0), 6)
    assert two.bias.item() == pytest.approx(start - 2)
    assert {"a_loss", "b_loss"} <= set(report.history[0])


def test_global_random_state_is_left_alone_and_dropout_is_repeatable():
    results = []
    for _ in range(2):
        model, x, y = regression()
        before = torch.get_rng_state()
        train([optimization_of(model, x, y)], Batches(60, 16, seed=1), 8)
        assert torch.equal(before, torch.get_rng_state())
        results.append(model[0].weight.detach().clone())
    assert torch.equal(*results)


class Break(Callback):
    """Breaks the run off, as an impatient user would."""

    def __init__(self, at):
        self.at = at

    def on_step(self, run):
        if run.step == self.at:
            raise KeyboardInterrupt


def resumable_run(folder, *, broken_at=-1):
    model, x, y = regression()
    average = WeightAverage(model, 0.9)

    def validate():
        model.eval()
        value = ((model(x) - y) ** 2).mean().item()
        model.train()
        return value

    stopping = EarlyStopping(model, validate, 100, average=average)
    optimization = optimization_of(model, x, y, schedule=cosine(40), clip=1.0)
    callbacks = [average, stopping, Checkpoint(folder), Break(broken_at)]
    report = train([optimization], Batches(60, 16, seed=5), 40, callbacks=callbacks)
    return model, report


def test_a_broken_run_resumes_to_the_last_bit(tmp_path):
    whole, report = resumable_run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        resumable_run(tmp_path / "broken", broken_at=18)
    resumed, again = resumable_run(tmp_path / "broken")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    figures = [{k: v for k, v in row.items() if k != "seconds"} for row in report.history]
    assert figures == [{k: v for k, v in row.items() if k != "seconds"} for row in again.history]


def test_the_checkpoint_of_another_run_is_refused(tmp_path):
    model, x, y = regression()
    train(
        [optimization_of(model, x, y)],
        Batches(60, 16, 0),
        4,
        callbacks=[Checkpoint(tmp_path / "c")],
    )
    with pytest.raises(InputError, match="another run"):
        train(
            [optimization_of(model, x, y)],
            Batches(60, 16, 1),
            4,
            callbacks=[Checkpoint(tmp_path / "c")],
        )


def test_early_stopping_restores_parameters_and_buffers_of_the_best_epoch():
    model, x, y = regression()
    scores = iter([3.0, 1.0, 2.0, 2.5, 9.0])
    states = []

    def validate():
        states.append({k: v.clone() for k, v in model.state_dict().items()})
        return next(scores)

    stopping = EarlyStopping(model, validate, patience=2)
    report = train(
        [optimization_of(model, x, y)], Batches(60, 20, seed=0), 300, callbacks=[stopping]
    )
    assert report.n_steps == 12
    assert "no better validation than 1 (epoch 2)" in report.stopped
    assert (stopping.best, stopping.best_epoch) == (1.0, 2)
    for name, value in model.state_dict().items():
        assert torch.equal(value, states[1][name]), name
    assert [row["validation"] for row in report.history] == [3.0, 1.0, 2.0, 2.5]


def test_weight_average_is_the_weighted_sum_of_the_weights_seen():
    model = linear(1, bias=False)
    seen = [model.weight.item()]

    class Watch(Callback):
        def on_step(self, run):
            seen.append(model.weight.item())

    optimization = Optimization(
        "p", model, lambda *_: Loss(model.weight.sum()), torch.optim.SGD(model.parameters(), 0.1)
    )
    average = WeightAverage(model, 0.5)
    train([optimization], Batches(1, 1, seed=0), 10, callbacks=[Watch(), average])
    expected = seen[0]
    for k, value in enumerate(seen[1:], start=1):
        keep = min(0.5, (k + 1) / (k + 10))
        expected = keep * expected + (1 - keep) * value
    assert model.weight.item() == pytest.approx(expected, rel=1e-5)
    with average.applied():
        assert model.weight.item() == pytest.approx(seen[-1])


def test_a_step_that_is_not_finite_is_counted_and_not_made():
    model = linear(1, bias=False)
    before = model.weight.item()

    def objective(_batch, step):
        return Loss(model.weight.sum() * (float("nan") if step < 3 else 0.0))

    optimization = Optimization("p", model, objective, torch.optim.SGD(model.parameters(), 0.1))
    report = train([optimization], Batches(1, 1, seed=0), 5)
    assert report.n_skipped == 3
    assert model.weight.item() == before
    endless = Optimization(
        "p", model, lambda *_: Loss(model.weight.sum() * float("inf")), optimization.optimizer
    )
    with pytest.raises(NotConverged, match="not finite in 21 steps"):
        train([endless], Batches(1, 1, seed=0), 100)


def test_gradient_is_clipped_and_the_rate_follows_the_schedule():
    model = linear(1, bias=False)
    nn.init.zeros_(model.weight)
    optimization = Optimization(
        "p",
        model,
        lambda *_: Loss(100 * model.weight.sum()),
        torch.optim.SGD(model.parameters(), 0.5),
        schedule=lambda step: 1.0 / (step + 1),
        clip=2.0,
    )
    train([optimization], Batches(1, 1, seed=0), 2)
    assert model.weight.item() == pytest.approx(-0.5 * 2.0 - 0.25 * 2.0, rel=1e-4)


def test_cosine_rises_then_falls_to_its_floor():
    factor = cosine(100, warmup=9, floor=0.1)
    assert factor(0) == pytest.approx(0.1, rel=1e-2)
    assert factor(100) == pytest.approx(0.1)
    assert factor(500) == pytest.approx(0.1)


def test_figures_are_logged_in_a_file_and_in_words(tmp_path, caplog):
    model, x, y = regression()
    caplog.set_level("INFO", logger="trajinfer.training")
    callbacks = [CSVLogger(tmp_path / "history.csv"), Progress(2)]
    report = train([optimization_of(model, x, y)], Batches(60, 20, seed=0), 6, callbacks=callbacks)
    table = np.genfromtxt(tmp_path / "history.csv", delimiter=",", names=True)
    assert table["loss"].tolist() == pytest.approx([row["loss"] for row in report.history])
    assert "epoch 2, step 6 of 6: loss" in caplog.text
    assert "6 steps in" in caplog.text
    json.dumps(report.history)


@pytest.mark.parametrize("optimizations", [[], "twice"])
def test_optimizations_must_be_named_apart(optimizations):
    model, x, y = regression()
    given = [optimization_of(model, x, y)] * 2 if optimizations == "twice" else optimizations
    with pytest.raises(InputError, match="optimizations"):
        train(given, Batches(60, 20, seed=0), 1)


def test_every_public_name_is_exported():
    assert all(hasattr(training, name) for name in training.__all__)


@pytest.mark.parametrize("rows", [60, np.arange(60), Batches(60, 16, seed=2)])
def test_a_recipe_trains_as_its_parts_do(rows):
    model, x, y = regression()
    optimization = optimization_of(model, x, y, schedule=cosine(40, floor=0.1), clip=1.0)
    by_hand = train(
        [optimization], Batches(60, 16, seed=2), 40, callbacks=[WeightAverage(model, 0.9)]
    )
    other, x, y = regression()
    recipe = Recipe(
        seed=2,
        epochs=10,
        batch_size=16,
        lr=0.02,
        weight_decay=0.01,
        floor=0.1,
        clip=1.0,
        average=0.9,
    )
    report = recipe.fit(other, optimization_of(other, x, y).objective, rows)
    assert [row["loss"] for row in report.history] == [row["loss"] for row in by_hand.history]
    assert all(map(torch.equal, model.state_dict().values(), other.state_dict().values()))
    assert not other.training


def test_a_recipe_validates_rarely_and_in_evaluation_mode():
    model, x, y = regression()
    modes = []

    def validate():
        modes.append((model.training, torch.is_grad_enabled()))
        return float(len(modes))

    recipe = Recipe(seed=0, epochs=12, batch_size=20, validations=4, validation_interval=10)
    recipe.fit(model, optimization_of(model, x, y).objective, 60, validate)
    assert modes == [(False, False)] * 3  # ten steps are four epochs of three


def test_a_recipe_has_one_length():
    with pytest.raises(InputError, match="either epochs or steps"):
        Recipe(seed=0, epochs=3, steps=4)
    with pytest.raises(InputError, match="either epochs or steps"):
        Recipe(seed=0)


def test_a_step_without_draws_is_not_interposed_and_gives_the_same_numbers():
    """Draws that name no generator are those of the step; without them torch is called straight."""
    weights = []
    for draws in (True, False):
        model, x, y = linear(3), *regression()[1:]
        modes = []
        plain = optimization_of(model, x, y, draws=draws)

        def watched(batch, step, objective=plain.objective, modes=modes):
            modes.append(len(torch.overrides._get_current_function_mode_stack()))
            return objective(batch, step)

        plain.objective = watched
        train([plain], Batches(60, 16, seed=1), 8)
        assert modes == [int(draws)] * 8
        weights.append(model.weight.detach().clone())
    assert torch.equal(*weights)
