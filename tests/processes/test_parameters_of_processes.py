"""Fixed and learnable parameters, volatility, settings, and what is refused."""

import numpy as np
import pytest
import torch

from trajinfer._core.errors import IncompatibleSolver, InputError
from trajinfer._core.packing import pack, unpack
from trajinfer.processes import (
    AffineDrift,
    Brownian,
    GeometricBrownian,
    LotkaVolterra,
    OrnsteinUhlenbeck,
    PolynomialDrift,
    Repressilator,
    Vortex,
)
from trajinfer.processes.base import require_savable

NOW = torch.zeros((), dtype=torch.float64)


def at(*rows):
    return torch.tensor(rows, dtype=torch.float64)


# --- equations at one point, by hand ------------------------------------------------------------


@pytest.mark.parametrize(
    ("process", "y", "expected"),
    [
        (Brownian(dim=2), [1.0, 2.0], [0.0, 0.0]),
        (OrnsteinUhlenbeck([2.0, 3.0], [1.0, 0.0]), [0.5, 2.0], [1.0, -6.0]),
        (AffineDrift(2, [[1, 2], [3, 4]], [10, 20]), [1.0, -1.0], [9.0, 19.0]),
        (GeometricBrownian([0.5, -1.0]), [2.0, 3.0], [1.0, -3.0]),
        (LotkaVolterra(1.0, 0.4, 0.1, 0.3), [5.0, 2.0], [5 - 4, 1 - 0.6]),
        (Repressilator(10, 3, 1, 0.5), [1.0, 2.0, 3.0], [10 / 28 - 0.5, 5 - 1, 10 / 9 - 1.5]),
        (Vortex(2.0, [1.0, 1.0], np.log(4.0)), [2.0, 5.0], [2 / 4 * 4, -2.0]),
        (PolynomialDrift(1, 2, [[1.0], [2.0], [3.0]]), [2.0], [1 + 4 + 12]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, torch.nn.Module) else "",
)
def test_drift_at_a_point(process, y, expected):
    np.testing.assert_allclose(process.f(NOW, at(y)).detach()[0], expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        (Brownian(volatility=[0.5, 2.0]), [[0.5, 0.0], [0.0, 2.0]]),
        (GeometricBrownian([0.0, 0.0], volatility=[0.5, 2.0]), [1.5, 8.0]),
        (Brownian(volatility=lambda y: y.square(), dim=2), [9.0, 16.0]),
        (GeometricBrownian([0.0, 0.0], volatility=lambda y: y.square()), [9.0, 16.0]),
    ],
)
def test_diffusion_at_a_point(process, expected):
    np.testing.assert_allclose(process.g(NOW, at([3.0, 4.0])).detach()[0], expected, rtol=1e-14)


def test_repressed_by_nobody_below_zero():
    process = Repressilator(10, 3, 1, 1)
    y = at([-0.5, -0.5, -0.5])
    np.testing.assert_allclose(process.f(NOW, y)[0], [10.5] * 3, rtol=1e-12)
    jacobian = process.jacobian(NOW, y, process.values())[0]
    np.testing.assert_allclose(jacobian, -np.eye(3), atol=1e-12)


def test_monomials_come_by_degree_and_their_number_is_binomial():
    process = PolynomialDrift(2, 2)
    assert process.monomials == [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]
    assert len(PolynomialDrift(3, 4).monomials) == 35
    assert len(set(PolynomialDrift(3, 4).monomials)) == 35


def test_a_polynomial_is_the_sum_of_its_monomials():
    rng = np.random.default_rng(0)
    rows = PolynomialDrift(3, 3).monomials
    coefficients, y = rng.standard_normal((len(rows), 3)), rng.standard_normal((4, 3))
    process = PolynomialDrift(3, 3, coefficients)
    expected = sum(
        np.prod(y**row, axis=1)[:, None] * c for row, c in zip(rows, coefficients, strict=True)
    )
    np.testing.assert_allclose(process.f(NOW, torch.as_tensor(y)), expected, rtol=1e-12)


def test_a_polynomial_counts_from_the_centre_of_the_data():
    process = PolynomialDrift(1, 1)
    process.adapt_to(np.array([3.0]), np.array([2.0]), 5.0)
    process.coefficients.assign("coefficients", [[1.0], [4.0]])
    np.testing.assert_allclose(process.f(NOW, at([7.0])).detach(), [[2 * (1 + 4 * 2)]])


def test_given_coefficients_stay_in_the_units_given():
    process = PolynomialDrift(1, 1, [[1.0], [4.0]])
    process.adapt_to(np.array([3.0]), np.array([2.0]), 5.0)
    np.testing.assert_allclose(process.f(NOW, at([7.0])), [[29.0]])


# --- parameters ---------------------------------------------------------------------------------


def test_given_is_fixed_and_not_given_is_learnable():
    process = LotkaVolterra(alpha=1.0, gamma=0.4)
    assert process.learnable == ["beta", "delta"]
    assert len(list(process.parameters())) == 2
    assert LotkaVolterra(1, 1, 1, 1).learnable == []


def test_learn_frees_a_value_which_is_then_the_start():
    process = LotkaVolterra(alpha=1.5, beta=0.4, delta=0.1, gamma=0.4)
    assert process.learn("alpha", "gamma") is process
    assert process.learnable == ["alpha", "gamma"]
    assert process.parameters_dict()["alpha"] == pytest.approx(1.5, rel=1e-15)
    process.adapt_to(np.array([50.0, 50.0]), np.ones(2), 10.0)
    assert process.parameters_dict()["alpha"] == pytest.approx(1.5, rel=1e-15)


def test_parameters_are_plain_numbers_and_arrays():
    assert LotkaVolterra(1.0, 0.4, 0.1, 0.3, volatility=0.1).parameters_dict() == {
        "alpha": 1.0,
        "beta": 0.4,
        "delta": 0.1,
        "gamma": 0.3,
    }
    found = AffineDrift(2, np.eye(2), [1, 2]).parameters_dict()
    assert found["matrix"].tolist() == [[1, 0], [0, 1]]
    assert found["offset"].tolist() == [1, 2]
    assert Brownian(volatility=1.0).parameters_dict() == {}


def test_parameters_handed_out_are_copies():
    process = AffineDrift(2, np.eye(2), [1, 2], volatility=[1.0, 2.0])
    process.parameters_dict()["offset"][0] = 9
    process.volatility[0] = 9
    assert process.parameters_dict()["offset"][0] == 1
    assert process.volatility[0] == 1


def test_positive_parameters_stay_positive_however_far_they_are_moved():
    process = LotkaVolterra()
    with torch.no_grad():
        for parameter in process.parameters():
            parameter.sub_(50.0)
    assert all(0 < value < 1e-15 for value in process.parameters_dict().values())


def test_the_dimension_comes_from_what_is_given():
    assert Brownian().dim == 1
    assert Brownian(volatility=[1.0, 2.0, 3.0]).dim == 3
    assert OrnsteinUhlenbeck(theta=[1.0, 2.0]).dim == 2
    assert OrnsteinUhlenbeck(mean=[1.0, 2.0]).dim == 2
    assert OrnsteinUhlenbeck(1.0, 0.0, volatility=[1.0, 2.0]).dim == 2
    assert GeometricBrownian(0.1, dim=4).dim == 4


def test_volatility_open_known_and_learned():
    process = LotkaVolterra()
    assert process.volatility is None
    with pytest.raises(InputError, match="volatility of LotkaVolterra is not known; give vol"):
        process.g(NOW, at([1.0, 2.0]))
    process.set_volatility(0.5)
    assert process.volatility.tolist() == [0.5, 0.5]
    assert "volatility" not in process.learnable
    process.learn("volatility")
    assert process.volatility == pytest.approx([0.5, 0.5], rel=1e-15)


def test_a_callable_volatility_replaces_numbers_and_the_reverse():
    def law(y):
        return 0.1 * y

    process = OrnsteinUhlenbeck(1.0, 0.0, volatility=law)
    assert process.volatility is law
    assert (process.noise_type, process.affine(process.values())) == ("diagonal", None)
    process.set_volatility(0.5)
    assert process.noise_type == "additive"
    assert process.affine(process.values()) is not None
    process.set_volatility(law)
    assert process.noise_type == "diagonal"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Brownian(volatility=0.0), "volatility must be positive"),
        (lambda: Brownian(volatility=[1.0, -1.0]), "volatility must be positive"),
        (lambda: Brownian(volatility=np.nan), "volatility must be finite"),
        (lambda: LotkaVolterra(volatility=[1.0, 1.0, 1.0]), r"volatility must have shape \(2,\)"),
        (lambda: Brownian(volatility="big"), "volatility must hold real numbers"),
        (lambda: LotkaVolterra(alpha=-1.0), "alpha must be positive"),
        (lambda: LotkaVolterra(alpha=[1.0, 2.0]), r"alpha must have shape \(\)"),
        (lambda: OrnsteinUhlenbeck(theta=0.0), "theta must be positive"),
        (lambda: OrnsteinUhlenbeck(theta=[1.0, 2.0], dim=3), r"theta must have shape \(3,\)"),
        (lambda: AffineDrift(2, np.ones((3, 3))), r"matrix must have shape \(2, 2\), got \(3, 3\)"),
        (lambda: AffineDrift(2, [1.0, 2.0]), r"matrix must have shape \(2, 2\), got \(2,\)"),
        (lambda: AffineDrift(2, ridge=-1.0), "ridge must not be negative"),
        (lambda: AffineDrift(0), "dim must be a positive integer, got 0"),
        (lambda: AffineDrift(-1), "dim must be a positive integer, got -1"),
        (lambda: AffineDrift(2.5), "dim must be a positive integer, got 2.5"),
        (lambda: Brownian(dim=True), "dim must be a positive integer, got True"),
        (lambda: OrnsteinUhlenbeck(dim=0), "dim must be a positive integer, got 0"),
        (lambda: GeometricBrownian(dim=2.0), "dim must be a positive integer, got 2.0"),
        (lambda: PolynomialDrift(0, 2), "dim must be a positive integer, got 0"),
        (lambda: PolynomialDrift(2, -1), "degree must be a non-negative integer, got -1"),
        (lambda: PolynomialDrift(2, 1.5), "degree must be a non-negative integer"),
        (lambda: PolynomialDrift(2, 2, ridge=-1), "ridge must not be negative"),
        (lambda: PolynomialDrift(2, 1, np.ones((2, 2))), r"coefficients must have shape \(3, 2\)"),
        (lambda: Vortex(center=[1.0, 2.0, 3.0]), r"center must have shape \(2,\)"),
        (lambda: LotkaVolterra().learn("alhpa"), r"no parameter 'alhpa'; did you mean 'alpha'\?"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(InputError, match=message):
        make()


# --- exact steps and saving ---------------------------------------------------------------------


def test_who_has_an_exact_step():
    def law(y):
        return y

    assert Brownian(volatility=1.0).has_exact_step
    assert OrnsteinUhlenbeck(1.0, 0.0, volatility=1.0).has_exact_step
    assert Vortex(1.0, [0, 0], 0.0, volatility=1.0).has_exact_step
    assert PolynomialDrift(2, 1, volatility=1.0).has_exact_step
    assert GeometricBrownian(1.0, volatility=1.0).has_exact_step
    for process in (
        Brownian(volatility=law),
        GeometricBrownian(1.0, volatility=law),
        LotkaVolterra(volatility=1.0),
        PolynomialDrift(2, 2, volatility=1.0),
    ):
        assert not process.has_exact_step
        y = torch.ones(3, process.dim, dtype=torch.float64)
        with pytest.raises(IncompatibleSolver, match=r"has no exact step.*try method="):
            process.exact_step(NOW, NOW + 1, y, y, None, y)


@pytest.mark.parametrize(
    "process",
    [
        Brownian(volatility=[1.0, 2.0]),
        OrnsteinUhlenbeck([1.0, 2.0], 0.0, volatility=0.5),
        GeometricBrownian([1.0, 2.0], volatility=0.5),
    ],
)
def test_an_exact_step_of_no_length_changes_nothing(process):
    y, noise = at([1.0, 2.0], [3.0, 4.0]), torch.ones(2, 2, dtype=torch.float64)
    needs = process.exact_noise
    stay = process.exact_step(
        NOW, NOW, y, 0 * noise if "W" in needs else None, None, noise if "Z" in needs else None
    )
    assert torch.equal(stay, y)


def test_exact_steps_of_different_length_in_one_batch():
    process = AffineDrift(2, [[-0.5, 2.0], [-2.0, -0.5]], [1.0, 0.0], volatility=[0.3, 0.6])
    y, z = torch.randn(2, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    h = at([0.3], [1.7])
    together = process.exact_step(NOW.expand(2, 1), h, y, None, None, z)
    for row in range(2):
        rows = slice(row, row + 1)
        alone = process.exact_step(NOW, h[row, 0], y[rows], None, None, z[rows])
        torch.testing.assert_close(together[rows], alone, rtol=1e-12, atol=1e-14)


class Stranger(Brownian):
    """A subclass from somewhere else."""


def test_what_cannot_be_saved_says_so():
    with pytest.raises(InputError, match="Stranger is not a process of trajinfer"):
        require_savable(Stranger(volatility=1.0))
    with pytest.raises(InputError, match="callable volatility cannot be saved"):
        Brownian(volatility=torch.ones_like).to_state()


def test_a_process_of_a_newer_version_is_refused():
    tensors = {}
    packed = pack(Brownian(volatility=1.0), tensors, "reference")
    for name in ("BrownianOfTomorrow", "simulate", "Process"):
        with pytest.raises(InputError, match=f"no '{name}'; update|no process '{name}'; update"):
            unpack({**packed, "class": name}, tensors)


def test_fixed_again_comes_back_fixed():
    process = LotkaVolterra(alpha=2.0, volatility=0.1)
    process.coefficients.fix("beta")
    again = type(process).from_state(process.to_state())
    assert again.learnable == ["delta", "gamma"]
    assert again.parameters_dict() == process.parameters_dict()
