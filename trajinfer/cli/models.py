"""Estimators by name, and the Python call of one with its settings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import trajinfer
from trajinfer._core.errors import InputError, nearest
from trajinfer.cli.options import call_of
from trajinfer.cli.settings import Settings, to_toml

DYNAMICS = (
    "langevin",
    "linear_noise",
    "geometric",
    "free",
    "ode",
    "cde",
    "latent_sde",
    "gru",
    "ode_rnn",
)


@dataclass(frozen=True)
class Call:
    """The call of an estimator's constructor.

    Attributes:
        estimator: name of its class in `trajinfer`.
        arguments: of the constructor.
    """

    estimator: str
    arguments: dict[str, Any]

    def build(self) -> Any:
        """The estimator."""
        return getattr(trajinfer, self.estimator)(**self.arguments)

    def script(self, then: str = "") -> list[str]:
        """Python that builds it into `model`, and what is called on it at once."""
        made = call_of(self.estimator, self.arguments)
        return [f"from trajinfer import {self.estimator}", f"model = {made}{then}"]

    def toml(self) -> str:
        """The settings as TOML."""
        return to_toml(self.arguments, self.estimator)

    def summary(self) -> dict[str, Any]:
        """The same as plain data."""
        return {"model": self.estimator, "settings": self.arguments}


@dataclass(frozen=True)
class Model:
    """A model the command line knows by name.

    Attributes:
        estimator: name of its class in `trajinfer`.
        settings: constructor arguments that the name stands for.
        horizon: whether it takes a `horizon`, the longest time ahead of the last observation.
    """

    estimator: str
    settings: Mapping[str, Any]
    horizon: bool = False

    def call(
        self,
        settings: Settings,
        *,
        named: bool = False,
        defaults: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Call:
        """The call with the settings of a run.

        Args:
            settings: as the user gave them.
            named: whether the user named the model, which then counts more than the file.
            defaults: values for settings the file does not name.
            options: settings that the command has an option for; None means not given.

        Raises:
            InputError: see `Settings.resolve`.
        """
        arguments = settings.resolve(
            self.estimator,
            list(inspect.signature(getattr(trajinfer, self.estimator)).parameters),
            options=options,
            defaults={**(defaults or {}), **self.settings},
            chosen=self.settings if named else {},
        )
        return Call(self.estimator, arguments)


SCORE = {
    "score": Model("ScoreSeries", {}),
    "score_network": Model("ScoreSeries", {"model": "network"}),
}
"""The law of series in closed form, and with a network on top."""


def neural(estimator: str, *, horizon: bool = False) -> dict[str, Model]:
    """One model per dynamics of a neural estimator."""
    return {name: Model(estimator, {"dynamics": name}, horizon) for name in DYNAMICS}


def model_of(name: str | None, models: Mapping[str, Model]) -> Model:
    """A model by name, the first one if none is named.

    Raises:
        InputError: if there is none of that name; the nearest one is named.
    """
    if name is None:
        return next(iter(models.values()))
    if name not in models:
        raise InputError(f"no model '{name}'; {nearest(name, models)}")
    return models[name]
