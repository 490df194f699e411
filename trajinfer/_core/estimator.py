"""The front door of every method: settings, and what `fit` learned from data."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.accepted_data import AcceptedData
from trajinfer._core.ambient import independent_of_global_state
from trajinfer._core.archive import save_archive, write_text
from trajinfer._core.checkpoint_folder import checkpointed
from trajinfer._core.errors import InputError
from trajinfer._core.fit_report import fit_report
from trajinfer._core.packing import pack, unpack

_CHECKPOINT = "checkpoint"
_FITTED_WITH, _LAST_VALID = "_fitted_with", "_last_valid"
# of settings: what changes the course of a fit, and not its result
_OF_THE_COURSE = {_CHECKPOINT, "callbacks", "verbose", "n_jobs"}


class Estimator(BaseEstimator):  # type: ignore[misc]
    """A scikit-learn estimator that is saved whole and fitted whole or not at all.

    A subclass keeps everything that `fit` learned in attributes that end in `_`, all of kinds that
    `trajinfer._core.packing` can write. Then `save` and `trajinfer.load` need nothing more. A fit
    that raises or is interrupted leaves the estimator as it was before; a fit that begins forgets
    what an earlier one learned. Settings that are changed after a fit hold for what is asked next,
    such as those of a sampler; after a refit that was refused the estimator answers, saves and
    reports by those it was last fitted with. The verbs of an estimator, which are its public
    functions, give the same answers under any default dtype or device, gradient mode and autocast
    of torch.

    Attributes:
        accepts: what data the class can be fitted to.
        training_only: names of settings that serve the training alone; they are saved as their
            defaults, since they may hold code.
    """

    accepts: ClassVar[AcceptedData]
    training_only: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, verb in list(vars(cls).items()):
            if inspect.isfunction(verb) and not name.startswith("_"):
                setattr(cls, name, independent_of_global_state(verb))
        if "fit" in vars(cls):
            cls.fit = _whole(cls.fit)

    def __sklearn_clone__(self) -> Self:
        """A clone without the folder of this estimator's checkpoint, which belongs to one fit."""
        clone: Self = super().__sklearn_clone__()
        if _CHECKPOINT in vars(clone):
            setattr(clone, _CHECKPOINT, None)
        return clone

    def save(self, path: str | Path) -> Path:
        """Write the fitted estimator to a folder that `trajinfer.load` reads.

        Raises:
            InputError: if a setting cannot be written as plain data, such as a function.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        tensors: dict[str, torch.Tensor] = {}
        settings = self._settings_to_save()
        config = {
            "estimator": type(self).__name__,
            "settings": pack(settings, tensors, "settings"),
            "fitted": pack(fitted_attributes(self), tensors, "fitted"),
        }
        return save_archive(path, config, tensors)

    def report(self, path: str | Path, *, figures: Mapping[str, Any] | None = None) -> Path:
        """Write one self-contained HTML page on the fit, and give its path.

        It holds whether the fit came to rest, the settings, everything learned that people can
        read (parameters, tables, shares, errors on held-out data), the course of the fit, and how
        to repeat it. It needs no network and no other file.

        Args:
            path: of the page.
            figures: matplotlib figures or axes by their captions, such as
                {"the data": plot.snapshots(data)}.

        Raises:
            InputError: for a path that does not end in .html, or whose folder is missing; for a
                figure that is none.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        target = Path(path).expanduser()
        if target.suffix.lower() not in (".html", ".htm"):
            raise InputError(f"a report is a page: expected a name that ends in .html, got {path}")
        if not target.parent.is_dir():
            raise InputError(f"there is no folder {target.parent}; make it first")
        write_text(target, fit_report(self, figures).html())
        return target

    def _valid_settings(self) -> dict[str, Any]:
        """The present settings by name; after a refit that was refused, those of the last fit."""
        return dict(vars(self).get(_LAST_VALID) or self.get_params(deep=False))

    def _valid_setting(self, name: str) -> Any:
        """One of `_valid_settings`."""
        return self._valid_settings()[name]

    def _unfitted(self) -> Self:
        """An estimator yet to be fitted, with the valid settings of this one."""
        unfitted: Self = clone(type(self)(**self._valid_settings()))
        return unfitted

    def _settings_to_save(self) -> dict[str, Any]:
        """The settings by name; a subclass replaces those that hold code."""
        settings = self._valid_settings()
        settings |= dict.fromkeys({_CHECKPOINT} & settings.keys())
        return settings | dict(self.training_only)

    @classmethod
    def _from_archive(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self:
        """The estimator that `save` wrote, in this version or in an earlier one."""
        if config["format"] == 1:
            return cls._from_format_1(config, tensors)
        estimator = cls(**unpack(config["settings"], tensors))
        for name, value in unpack(config["fitted"], tensors).items():
            setattr(estimator, name, value)
        return estimator

    @classmethod
    def _from_format_1(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self:
        """The estimator that version 0.1 wrote."""
        raise InputError(
            f"a {config['estimator']} of version 0.1 with {len(tensors)} arrays cannot be read; "
            "fit it again"
        )

    def _conclude(
        self,
        *,
        seed: int,
        n_iter: int,
        converged: bool,
        history: list[dict[str, Any]],
        reason: str | None = None,
    ) -> None:
        """Keep how the fit went; warn where it did not converge, for the reason given."""
        self.seed_, self.n_iter_, self.history_ = seed, n_iter, history
        self.converged_ = bool(converged)
        if not converged:
            warnings.warn(
                reason
                or f"{type(self).__name__} did not converge in {n_iter} iterations; allow more, or "
                "look at history_",
                ConvergenceWarning,
                stacklevel=4,
            )


def of_model(name: str) -> Any:
    """A property of an estimator that hands on a value of its `model_`, once it is fitted."""

    def value(self: Any) -> Any:
        if "model_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has learned nothing yet; call fit first")
        return getattr(self.model_, name)

    return property(value)


def fitted_attributes(estimator: Any) -> dict[str, Any]:
    """Everything that `fit` learned, by the name of its attribute."""
    return {
        name: value
        for name, value in vars(estimator).items()
        if name.endswith("_") and not name.startswith("_")
    }


def _are_others(settings: Mapping[str, Any], earlier: Mapping[str, Any]) -> bool:
    """Whether any setting is another object than it was."""
    return any(settings[name] is not value for name, value in earlier.items())


def _checkpoint(estimator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The folder of the setting `checkpoint`, for the length of a fit to this data."""

    def identity() -> dict[str, Any]:
        settings = estimator.get_params(deep=False)
        kept = {name: value for name, value in settings.items() if name not in _OF_THE_COURSE}
        return kept | {"data": (args, kwargs)}

    return checkpointed(vars(estimator).get(_CHECKPOINT), type(estimator).__name__, identity)


def _whole(fit: Callable[..., Any]) -> Callable[..., Any]:
    """`fit`, after which an estimator is fitted anew, or exactly as it was before."""

    @functools.wraps(fit)
    def whole_fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(self, "_is_fitting", False):  # called by the fit of a subclass
            return fit(self, *args, **kwargs)
        before = dict(vars(self))
        for name in fitted_attributes(self):
            delattr(self, name)
        fitted_with = vars(self).pop(_FITTED_WITH, None)
        vars(self).pop(_LAST_VALID, None)
        self._is_fitting = True
        try:
            with _checkpoint(self, args, kwargs):
                result = fit(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            if fitted_with is not None and _are_others(self.get_params(deep=False), fitted_with):
                vars(self)[_LAST_VALID] = fitted_with
            raise
        del self._is_fitting
        self._fitted_with = self.get_params(deep=False)
        return result

    return whole_fit
