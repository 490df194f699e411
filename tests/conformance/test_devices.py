"""Every estimator works on the device that it is given, or says that it cannot.

The second device of these tests is one without hardware (see `second_device`); `pytest -m cuda`
runs the same ones on a real one.
"""

from contextlib import suppress
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.base import clone

import trajinfer
from tests.conformance import estimators as cases
from tests.conformance import sdes
from tests.conformance.answers_on_devices import ANSWERS, few_labelled_walks, verbs_of
from tests.conformance.on_devices import on_devices
from tests.conformance.second_device import StrayTensor, second_device
from tests.sde.problems import Decay
from trajinfer import InputError, SchrodingerBridge, ValueFunction, estimate, load, simulate
from trajinfer import sde as tsde
from trajinfer._core.devices import device_of, require_cpu
from trajinfer._core.seeding import seeded
from trajinfer.functionals import above, below, density, exceedance, fate_probabilities, passage
from trajinfer.generation import (
    CDECritic,
    DirectedChainGenerator,
    ExpectedSignature,
    Memory,
    PathMMD,
    SigKernelMMD,
    TransitionLikelihood,
)
from trajinfer.processes import OrnsteinUhlenbeck
from trajinfer.scores import ScoreDensity, ScoreSeries, StochasticInterpolant
from trajinfer.series import (
    NeuralSDEClassifier,
    NeuralSDEForecaster,
    NeuralSDEInterpolator,
    NeuralSDERegressor,
)
from trajinfer.training import Checkpoint, Loss, Recipe

CPU_ALONE = ("MarkovJumpProcess", "SchrodingerBridge", "FractionalSDE", "ValueFunction")


class Job(NamedTuple):
    """A fit, and the verbs that are asked of it."""

    name: str
    make: partial
    data: object
    verbs: tuple[str, ...]

    @property
    def estimator(self):
        """The name of its class."""
        return self.make.func.__name__


def prices():
    """30 positive series of two channels at twenty times."""
    steps = 0.01 * np.random.default_rng(0).normal(size=(30, 20, 2))
    return (cases.IrregularSeries.from_arrays(np.arange(20.0), np.exp(steps.cumsum(1))),)


TINY = {"hidden": 2, "layers": 1, "max_epochs": 1, "n_samples": 1, "step": 2.0}
ALONE = {"experts": (), **TINY}
GENERATOR = {"hidden": (4,), "chain_steps": 1, "transform": "standard"}
SCORE = {"hidden": 8, "layers": 1, "max_epochs": 1, "n_evaluations": 3}
FORECASTS = ("forecast", "predict")
LIKELIHOOD = TransitionLikelihood(n_steps=2, batch_size=16)


def _classifier(*args, **kwargs):
    make = partial(NeuralSDEClassifier, *args, **{**ALONE, **kwargs})
    return make, few_labelled_walks, ("predict_proba",)


def _generator(**kwargs):
    make = partial(DirectedChainGenerator, **{**GENERATOR, **kwargs})
    return make, cases.random_walks, ("sample",)


QUICK = (
    Job("classifier", *_classifier()),
    Job("regressor", partial(NeuralSDERegressor, "gru", **ALONE), few_labelled_walks, ("predict",)),
    Job(
        "interpolator",
        partial(NeuralSDEInterpolator, "gru", n_hidings=1, **TINY),
        cases.random_walks,
        ("interpolate", "predict"),
    ),
    Job("forecaster", partial(NeuralSDEForecaster, **TINY), cases.random_walks, FORECASTS),
    Job(
        "latent forecaster",
        partial(NeuralSDEForecaster, "gru", horizon=1.5, **TINY),
        cases.random_walks,
        FORECASTS,
    ),
    Job("generator", *_generator(loss=LIKELIHOOD, neighbour="one")),
    Job("density", partial(ScoreDensity, **SCORE), cases.points, ("sample", "impute")),
    Job(
        "interpolant",
        partial(StochasticInterpolant, **SCORE),
        cases.stacked_snapshots,
        ("sample", "marginal", "velocity"),
    ),
)

SLOW = (
    *(
        Job(f"classifier {name}", *_classifier(name))
        for name in ("linear_noise", "geometric", "free", "ode", "cde", "latent_sde", "ode_rnn")
    ),
    Job("mixture", *_classifier(experts=("linear",))),
    Job("clipped", *_classifier(parameterization="clipped")),
    Job("rectilinear", *_classifier(interpolation="rectilinear")),
    Job("penalty", *_classifier(regularization=tsde.SolverRegularization())),
    Job("local", *_classifier(regularization=tsde.SolverRegularization(mode="local"))),
    Job(
        "forecaster langevin",
        partial(NeuralSDEForecaster, "langevin", horizon=1.5, **TINY),
        cases.random_walks,
        FORECASTS,
    ),
    *(
        Job(f"generator {noise}", *_generator(loss=LIKELIHOOD, noise=noise))
        for noise in ("diagonal", "triangular", 1)
    ),
    *(
        Job(f"generator {type(loss).__name__}", *_generator(loss=(LIKELIHOOD, loss)))
        for loss in (
            PathMMD(n_steps=2, batch_size=8),
            SigKernelMMD(n_steps=2, batch_size=8),
            ExpectedSignature(n_steps=2, batch_size=8, depth=3),
            CDECritic(n_steps=2, batch_size=8, signature_depth=2),
        )
    ),
    Job(
        "relative",
        partial(
            DirectedChainGenerator,
            transform="relative",
            memory=Memory(n_steps=2, ensemble=1, hidden=(4,)),
        ),
        prices,
        ("sample",),
    ),
    Job(
        "series",
        partial(ScoreSeries, "network", **SCORE),
        cases.random_walks,
        ("sample", "forecast"),
    ),
)


# one fit of every estimator that works on a device
OF_EVERY_ESTIMATOR = tuple({job.estimator: job for job in (*SLOW, *QUICK)}.values())


def _check(job, verbs, elsewhere):
    asked = ANSWERS[job.estimator]
    with elsewhere() as device:
        model = job.make(random_state=0, device=device).fit(*job.data())
        answers = [asked[verb](model) for verb in verbs]
    for answer in answers:
        assert np.isfinite(np.asarray(answer)).all()


@on_devices
@pytest.mark.filterwarnings("ignore::trajinfer._core.errors.ExtrapolationWarning")
@pytest.mark.parametrize("job", QUICK, ids=lambda job: job.name)
def test_fits_and_answers_elsewhere(job, elsewhere):
    _check(job, job.verbs, elsewhere)


@pytest.mark.slow
@on_devices
@pytest.mark.filterwarnings("ignore::trajinfer._core.errors.ExtrapolationWarning")
@pytest.mark.parametrize("job", SLOW, ids=lambda job: job.name)
def test_every_kind_fits_and_answers_elsewhere(job, elsewhere):
    _check(job, job.verbs, elsewhere)


@pytest.mark.slow
@on_devices
@pytest.mark.filterwarnings("ignore::trajinfer._core.errors.ExtrapolationWarning")
@pytest.mark.parametrize("job", OF_EVERY_ESTIMATOR, ids=lambda job: job.estimator)
def test_every_verb_answers_elsewhere(job, elsewhere):
    _check(job, ANSWERS[job.estimator], elsewhere)


def test_every_estimator_is_fitted_elsewhere_or_refuses_it():
    """An estimator without a job above, or a verb without a question, fails here."""
    fitted = {job.estimator for job in OF_EVERY_ESTIMATOR}
    assert sorted([*fitted, *CPU_ALONE]) == sorted(
        case.name for case in (*cases.CASES, cases.VALUES)
    )
    assert {name: verbs_of(getattr(trajinfer, name)) for name in fitted} == {
        name: set(verbs) for name, verbs in ANSWERS.items()
    }


# torch says of its own device "meta" that copies onto it do nothing
of_meta = pytest.mark.filterwarnings("ignore:for .*copying from a non-meta parameter:UserWarning")


@of_meta
@on_devices
def test_a_fit_elsewhere_is_kept_and_read_onto_the_cpu(elsewhere, tmp_path):
    walks, labels = few_labelled_walks()
    settings = {"random_state": 0, "checkpoint": tmp_path / "fit", "max_epochs": 3}
    with elsewhere() as device:
        model = NeuralSDERegressor("gru", device=device, **{**ALONE, **settings})
        model.fit(walks, labels)
        again = clone(model).set_params(checkpoint=tmp_path / "fit").fit(walks, labels)
        answers = model.predict(walks)
        np.testing.assert_array_equal(again.predict(walks), answers)
        model.save(tmp_path / "model")
    np.testing.assert_allclose(load(tmp_path / "model").predict(walks), answers, rtol=1e-4)


@of_meta
@on_devices
def test_a_training_broken_off_within_an_epoch_goes_on_elsewhere(elsewhere, tmp_path):
    """Its first losses come from the file, onto the CPU, the others from the device."""
    with elsewhere() as device:
        finished = [_losses(device, tmp_path / "course", stop) for stop in (3, 4, None)]
        whole = _losses(device, tmp_path / "whole", None)
    assert finished[-1] == whole


def _losses(device, path, stop):
    with seeded(0):
        module = torch.nn.Linear(1, 1).to(device)
    x = torch.linspace(-1, 1, 40, device=device)[:, None]

    def objective(rows, step):
        if step == stop:
            raise KeyboardInterrupt
        return Loss((module(x[rows]) - x[rows].square()).square().mean())

    keeping = Checkpoint(path)
    keeping.on_step = lambda run: keeping._save(run)
    recipe = Recipe(seed=0, epochs=1, batch_size=4, callbacks=[keeping])
    with suppress(KeyboardInterrupt):
        return recipe.fit(module, objective, 40).history[-1]["loss"]


@cases.WITH_VALUES
def test_a_device_that_is_not_there_is_refused_before_work(case, monkeypatch):
    with pytest.raises(InputError, match="device must be"):
        case.make(device="tpu").fit(*case.data())
    if case.name in CPU_ALONE:
        with pytest.raises(InputError, match="double precision on the CPU"):
            case.make(device="cuda").fit(*case.data())


def test_every_estimator_takes_a_device():
    assert all("device" in case.make().get_params() for case in (*cases.CASES, cases.VALUES))


class _Stray(Decay):
    """The fault that the tests above must find."""

    def f(self, t, y, context=None):
        return -self.rate * y + torch.zeros(2)


def _solved(sde, device, method, **settings):
    y0 = torch.ones(3, 2, device=device)
    solution = tsde.solve(sde.to(device), y0, [0.0, 0.5, 1.0], method=method, **settings)
    solution.ys.sum().backward()
    assert solution.ys.device == y0.device
    return solution.ys.detach().cpu()


def _problem(row):
    calculus = "ito" if "ito" in row["type"] else "stratonovich"
    noise = next(kind for kind in ("diagonal", "additive", "none") if kind in row["noise"])
    return Decay(noise, calculus)


@on_devices
@pytest.mark.parametrize("step", [0.25, tsde.Adaptive(0.1, 0.1)], ids=["fixed", "adaptive"])
def test_solves_where_the_start_is(elsewhere, step):
    with elsewhere() as device:
        _solved(Decay("diagonal", "ito"), device, "sriw1", step=step, random_state=0)


@on_devices
@pytest.mark.parametrize("case", sdes.CASES, ids=lambda case: case.name)
def test_every_process_moves_where_it_stands(case, elsewhere):
    volatility = [0.1] * len(case.center)
    with elsewhere() as device:
        process = case.make(volatility=volatility).to(device)
        y0 = sdes.states(case, 3).to(device)
        method = "exact" if process.has_exact_step else "euler"
        ys = tsde.solve(process, y0, [0.0, 0.1], step=0.05, method=method, random_state=0).ys
        assert ys.device == y0.device
        assert process.volatility.tolist() == volatility
        assert torch.isfinite(ys).all().item()


EXCEEDANCE = exceedance(0.5, 1.0)
OF_PROCESSES = {
    "simulate": lambda spring: (
        simulate(
            spring, torch.zeros_like(spring.values()["mean"]), [0.0, 1.0], 3, random_state=0
        ).values
    ),
    "estimate": lambda spring: estimate(EXCEEDANCE, spring, [[0.0]], n=20, random_state=0).value,
    "values": lambda spring: (
        ValueFunction(EXCEEDANCE, resolution=20, random_state=0)
        .fit(spring, [[0.0]])
        .predict([[0.0]])
    ),
    "passage": lambda spring: (
        passage(spring, above(0.5), [[0.0]], ts=[1.0], resolution=20, random_state=0).survival
    ),
    "fates": lambda spring: (
        fate_probabilities(
            spring, [[0.0]], {"up": above(0.5), "down": below(-0.5)}, random_state=0
        ).probabilities
    ),
    "density": lambda spring: density(spring, [0.0], [1.0], resolution=20).mean,
    "bridge": lambda spring: (
        SchrodingerBridge(spring, n_refinements=0, random_state=0)
        .fit(cases.stacked_snapshots()[0][:, :1], cases.stacked_snapshots()[1])
        .velocity([[0.0]], 0.5)
    ),
}


@on_devices
@pytest.mark.parametrize("door", OF_PROCESSES)
def test_a_process_that_stands_elsewhere_is_taken(door, elsewhere):
    ask, spring = OF_PROCESSES[door], OrnsteinUhlenbeck(1.0, [0.3], volatility=1.0)
    here = ask(spring)
    with elsewhere() as device:
        there = ask(spring.to(device))
        assert spring.values()["mean"].device.type == torch.device(device).type
    assert np.isfinite(there).all()
    if elsewhere is second_device or door != "simulate":  # which draws on the device itself
        np.testing.assert_allclose(there, here, rtol=1e-9)


@pytest.mark.slow
@on_devices
@pytest.mark.parametrize(
    "method", [row["name"] for row in tsde.methods() if row["name"] not in ("exact", "exp_euler")]
)
def test_every_solver_works_where_the_start_is(method, elsewhere):
    if elsewhere is second_device and method == "milstein":
        pytest.skip("torch's dual numbers crash on wrapped tensors")
    row = next(row for row in tsde.methods() if row["name"] == method)
    with elsewhere() as device:
        _solved(_problem(row), device, method, step=0.25, random_state=0)


def test_the_numbers_of_a_solve_are_those_of_the_cpu():
    """The second device computes as the CPU does, and a generator there of one seed draws alike."""
    here = _solved(Decay("diagonal", "ito"), "cpu", "sriw1", step=0.25, random_state=0)
    with second_device() as device:
        there = _solved(Decay("diagonal", "ito"), device, "sriw1", step=0.25, random_state=0)
    torch.testing.assert_close(there, here, rtol=0, atol=0)


def test_a_stray_tensor_in_a_step_is_found():
    with second_device() as device, pytest.raises(StrayTensor, match="meets tensors"):
        _solved(_Stray("diagonal", "ito"), device, "euler", step=0.5, random_state=0)


def test_what_a_second_device_would_refuse_is_found():
    with second_device() as device:
        x = torch.ones(3, device=device)
        with pytest.raises(StrayTensor):
            x + x.cpu()
        with pytest.raises(StrayTensor, match="generator"):
            torch.randn(3, device=device, generator=torch.Generator().manual_seed(0))
        with pytest.raises(RuntimeError, match="numpy"):
            x.numpy()
        assert float((x + x[torch.arange(3)] * torch.tensor(2.0)).sum()) == 9.0


def test_names_of_devices():
    assert device_of(None) == device_of("cpu") == device_of(torch.device("cpu"))
    assert device_of("auto").type in ("cpu", "cuda", "mps")
    for wrong in ("tpu", "meta", "cuda:99", 3.5):
        with pytest.raises(InputError, match="device must be"):
            device_of(wrong)
    with pytest.raises(InputError, match="None, 'cpu' or 'auto', got 'cuda': here"):
        require_cpu("cuda", "here")
