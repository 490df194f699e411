"""How many files a call passes through at most: a fit must be readable from top to bottom."""

import sys
from pathlib import Path

import numpy as np

import trajinfer
from trajinfer import IrregularSeries, NeuralSDEForecaster

ROOM = str(Path(trajinfer.__file__).parent)
DEEPEST = 12


def deepest_chain(function):
    """The call stack with the most distinct files of the package, while a function runs."""
    deepest: list[str] = []

    def look(frame, event, argument):
        if event != "call" or not frame.f_code.co_filename.startswith(ROOM):
            return
        files = {}
        while frame is not None:
            name = frame.f_code.co_filename
            if name.startswith(ROOM):
                files.setdefault(name[len(ROOM) + 1 :])
            frame = frame.f_back
        if len(files) > len(deepest):
            deepest[:] = reversed(files)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        function()
    finally:
        sys.setprofile(before)
    return deepest


def test_the_fit_of_a_forecaster_is_no_deep_chain():
    walks = np.random.default_rng(0).normal(size=(12, 6, 1)).cumsum(axis=1)
    series = IrregularSeries.from_arrays(np.arange(6.0), walks)
    model = NeuralSDEForecaster(horizon=2.0, max_epochs=1, hidden=4, random_state=0)
    model.fit(series)  # imports happen here
    chain = deepest_chain(lambda: model.fit(series))
    assert len(chain) <= DEEPEST, " > ".join(chain)
