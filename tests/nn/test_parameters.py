import copy

import numpy as np
import pytest
import torch

from trajinfer._core.errors import InputError
from trajinfer.nn import Parameter, Parameters


def make(rate=None, mean=None, start=(0.0, 0.0)):
    return Parameters(
        {
            "rate": Parameter(rate, 2.0, positive=True, time_power=-1),
            "mean": Parameter(mean, np.array(start), state_power=1),
            "slope": Parameter(None, 0.5, state_power=1, time_power=-1),
        }
    )


def value(parameters, name):
    return parameters.values()[name].detach().numpy()


def test_a_value_given_is_fixed_and_one_not_given_is_learnable():
    parameters = make(rate=3.0)
    assert parameters.learnable == ["mean", "slope"]
    assert parameters.neutral == {"mean", "slope"}
    assert value(parameters, "rate") == 3.0
    assert [name for name, _ in parameters.named_parameters()] == ["mean", "slope"]


def test_names_come_in_the_order_declared():
    assert list(make(mean=[1.0, 2.0])) == ["rate", "mean", "slope"]
    assert list(make().values()) == ["rate", "mean", "slope"]


def test_a_positive_parameter_is_learned_by_its_logarithm():
    parameters = make()
    assert parameters.rate.item() == pytest.approx(np.log(2.0), abs=1e-15)
    parameters.values()["rate"].backward()
    assert parameters.rate.grad.item() == pytest.approx(2.0)


def test_values_are_differentiable_and_take_the_dtype_asked_for():
    parameters = make()
    assert parameters.values()["mean"].dtype == torch.float64
    single = parameters.values(torch.float32)
    assert single["mean"].dtype == torch.float32
    single["mean"].sum().backward()
    assert parameters.mean.grad.tolist() == [1.0, 1.0]


def test_learn_starts_from_the_value_given_and_is_no_longer_neutral():
    parameters = make(rate=3.0)
    parameters.learn("rate")
    assert "rate" in parameters.learnable
    assert "rate" not in parameters.neutral
    assert value(parameters, "rate") == pytest.approx(3.0, rel=1e-15)
    parameters.learn("rate")
    assert value(parameters, "rate") == pytest.approx(3.0, rel=1e-15)


def test_fix_is_the_inverse_of_learn():
    parameters = make()
    parameters.fix("rate", "mean")
    assert parameters.learnable == ["slope"]
    assert parameters.neutral == {"slope"}
    assert value(parameters, "rate") == pytest.approx(2.0, rel=1e-15)
    assert not value(parameters, "mean").any()


def test_an_unknown_name_is_corrected():
    with pytest.raises(InputError, match=r"no parameter 'men'; did you mean 'mean'\?"):
        make().learn("men")


@pytest.mark.parametrize("learnable", [True, False])
def test_assign_sets_the_value_and_keeps_the_kind(learnable):
    parameters = make() if learnable else make(rate=1.0, mean=[0.0, 0.0])
    before = parameters.learnable
    parameters.assign("rate", 5.0)
    parameters.assign("mean", [1.0, 2.0])
    assert value(parameters, "rate") == pytest.approx(5.0, rel=1e-15)
    assert value(parameters, "mean").tolist() == [1.0, 2.0]
    assert parameters.learnable == before
    assert parameters.neutral == {"slope"}


def test_a_number_fills_the_shape():
    assert value(make(mean=1.5), "mean").tolist() == [1.5, 1.5]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mean": [1.0, 2.0, 3.0]}, r"mean must have shape \(2,\), got \(3,\)"),
        ({"mean": [1.0, np.nan]}, "mean must be finite, found NaN"),
        ({"rate": 0.0}, "rate must be positive, got 0"),
        ({"rate": -1.0}, "rate must be positive, got -1"),
        ({"rate": np.inf}, "rate must be finite"),
        ({"rate": "fast"}, "rate must hold real numbers"),
    ],
)
def test_bad_values(given, message):
    with pytest.raises(InputError, match=message):
        make(**given)


def test_neutral_starts_take_the_units_of_the_data():
    parameters = make(start=(1.0, -1.0))
    parameters.to_natural_units(state=10.0, time=4.0)
    assert value(parameters, "rate") == pytest.approx(2.0 / 4)
    assert value(parameters, "mean") == pytest.approx([10.0, -10.0])
    assert value(parameters, "slope") == pytest.approx(0.5 * 10 / 4)
    assert parameters.units == {"rate": 1.0, "mean": 10.0, "slope": 2.5}
    parameters.to_natural_units(state=1.0, time=1.0)
    assert value(parameters, "slope") == pytest.approx(0.5)


def test_values_that_were_set_do_not_move_with_the_units():
    parameters = make(rate=3.0)
    parameters.assign("mean", [1.0, 2.0])
    parameters.to_natural_units(state=10.0, time=4.0)
    assert value(parameters, "rate") == 3.0
    assert value(parameters, "mean").tolist() == [1.0, 2.0]


def test_a_copy_is_independent():
    first = make()
    second = copy.deepcopy(first)
    second.assign("mean", [1.0, 1.0])
    second.learn("rate")
    assert not value(first, "mean").any()
    assert first.neutral == {"rate", "mean", "slope"}


def test_state_dict_round_trip():
    first, second = make(rate=3.0), make(rate=1.0)
    first.assign("slope", -4.0)
    second.load_state_dict(first.state_dict())
    for name in first:
        assert np.array_equal(value(first, name), value(second, name))
