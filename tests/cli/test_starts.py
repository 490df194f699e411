"""`--from` of `trajinfer ask`: a start, or words that say how to write one."""

from pathlib import Path

import numpy as np
import pytest

from trajinfer._core.errors import InputError
from trajinfer.cli.jump_settings import columns_of
from trajinfer.cli.settings import put
from trajinfer.cli.starts import start_of
from trajinfer.functionals import Chain, as_dynamics
from trajinfer.metrics import metric_names
from trajinfer.processes import OrnsteinUhlenbeck

PLANE = as_dynamics(OrnsteinUhlenbeck(np.ones(2), np.zeros(2), volatility=1.0))
CHAIN = Chain(np.array([[-1.0, 1.0], [2.0, -2.0]]), states=("ill", "well"))


def test_a_place_is_read_by_names_and_numbers():
    np.testing.assert_array_equal(start_of("0=0.5, 1=-2e1", PLANE, Path()), [[0.5, -20]])
    assert start_of("well", CHAIN, Path()) == ["well"]
    assert start_of("last", CHAIN, Path()) == ["ill", "well"]


@pytest.mark.parametrize(
    ("text", "dynamics", "says"),
    [
        ("sick", CHAIN, "the states are ill, well"),
        ("last", PLANE, "keeps no last states"),
        ("0=0.5", PLANE, r"leaves out the coordinates \[1\]"),
        ("0.5,1", PLANE, "write 'x=0.3,y=1'"),
        ("0=high,1=2", PLANE, "'high', which is no number"),
        ("0=,1=2", PLANE, "'', which is no number"),
    ],
    ids=["a state", "no last", "half a place", "no names", "a word", "nothing"],
)
def test_what_is_no_start_is_refused(text, dynamics, says):
    with pytest.raises(InputError, match=says):
        start_of(text, dynamics, Path())


def test_a_part_of_what_is_no_table_is_refused():
    with pytest.raises(InputError, match="a part of reference, which is 1"):
        put({"reference": 1}, ["reference", "name"], "brownian")


@pytest.mark.parametrize("covariates", [[["x"]], [1], {"x": 1}, 3])
def test_covariates_of_a_file_are_names(covariates):
    with pytest.raises(InputError, match="is a list of columns, got"):
        columns_of(covariates)


def test_no_metric_is_none():
    with pytest.raises(InputError, match="names no metric; known: "):
        metric_names([])
