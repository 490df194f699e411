"""What a fitted estimator tells of itself, as a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import BytesIO
from numbers import Real
from typing import Any

import numpy as np

from trajinfer._core.errors import InputError
from trajinfer._core.page import Page

_LARGEST = 12
_COUNTERS = ("epoch", "round", "step", "iteration", "seed", "seconds")
_LABELS = ("kind", "stage")
_SPOKEN_OF = ("history_", "seed_", "n_iter_", "converged_")


def fit_report(estimator: Any, figures: Mapping[str, Any] | None = None) -> Page:
    """A page with the settings, what was learned, the course of the fit and how to repeat it.

    Args:
        estimator: fitted.
        figures: matplotlib figures or axes by their captions.

    Raises:
        InputError: for a figure that is none.
    """
    name = type(estimator).__name__
    page = Page(f"{name}: report of a fit")
    _outcome(page, estimator)
    page.heading("Settings").pairs(estimator._valid_settings())
    describe_fit(page, estimator)
    for caption, figure in (figures or {}).items():
        page.heading(caption).picture(_png(caption, figure), caption)
    page.heading("To repeat it")
    return page.verbatim(
        f"from trajinfer import {name}\n\nmodel = {estimator._unfitted()!r}\nmodel.fit(data)\n\n"
        f"# the seed of this fit was {estimator.seed_}"
    )


def describe_fit(page: Page, estimator: Any) -> None:
    """What was chosen and learned, and the course of the fit, onto a page."""
    _chosen(page, estimator.history_)
    page.heading("What was learned")
    _learned(page, estimator)
    _course(page, estimator.history_)


def _png(caption: str, figure: Any) -> bytes:
    drawn = getattr(figure, "figure", figure)
    if not hasattr(drawn, "savefig"):
        raise InputError(
            f"figures must be matplotlib figures or axes, got {type(figure).__name__} for "
            f"{caption!r}; functions of trajinfer.plot return axes"
        )
    picture = BytesIO()
    drawn.savefig(picture, format="png")
    return picture.getvalue()


def _outcome(page: Page, estimator: Any) -> None:
    rounds = f"{estimator.n_iter_} iterations, seed {estimator.seed_}"
    if estimator.converged_:
        page.paragraph(f"The fit came to rest after {rounds}.")
    else:
        page.warning(f"The fit did not converge in {rounds}: take its numbers as a first look.")


def _learned(page: Page, estimator: Any) -> None:
    """Numbers and names in one table, then every table of its own."""
    plain: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    for name, value in _values(estimator):
        if hasattr(value, "itertuples"):
            tables[name] = value
        elif isinstance(value, Mapping) and all(isinstance(x, Real | str) for x in value.values()):
            plain |= {f"{name} {key}": entry for key, entry in value.items()}
        elif isinstance(value, Real | str):
            plain[name] = value
        elif isinstance(value, np.ndarray) and value.ndim == 1 and value.size <= _LARGEST:
            plain[name] = value.tolist()
        elif isinstance(value, np.ndarray) and value.ndim == 2 and max(value.shape) <= _LARGEST:
            rows = zip(_row_names(estimator, len(value)), value.tolist(), strict=True)
            plain |= {f"{name} {row}": numbers for row, numbers in rows}
    if plain:
        page.pairs(plain)
    for name, table in tables.items():
        page.table(table, name)


def _row_names(estimator: Any, n: int) -> list[str]:
    """What the rows of a matrix stand for: states by their labels, else numbers."""
    labels = getattr(estimator, "rate_labels_", ())
    return (
        [f"from {label}" for label in labels]
        if len(labels) == n
        else [*map("row {}".format, range(n))]
    )


def _chosen(page: Page, records: list[dict[str, Any]]) -> None:
    """What the first record of the fit says in words, such as the back end and the reason."""
    first = records[0] if records else {}
    words = {k: v for k, v in first.items() if isinstance(v, str) and v and k not in _LABELS}
    if words:
        page.heading("What was chosen, and why").pairs(words)


def _values(estimator: Any) -> Iterable[tuple[str, Any]]:
    """Learned attributes by name, those that a property hands on among them."""
    own = vars(estimator)
    handed_on = [
        n for n in dir(type(estimator)) if isinstance(getattr(type(estimator), n), property)
    ]
    for name in sorted({*own, *handed_on}):
        if not name.endswith("_") or name.startswith("_") or name in _SPOKEN_OF:
            continue
        value = own[name] if name in own else getattr(estimator, name, None)
        if value is not None:
            yield name, value


def _course(page: Page, records: list[dict[str, Any]]) -> None:
    """The quantities that every record of the fit holds, as curves."""
    names = [
        name
        for name in (records[0] if records else {})
        if name not in _COUNTERS
        and all(_is_number(record.get(name)) for record in records)
        and len({record[name] for record in records}) > 1
    ]
    if names:
        page.heading("Course of the fit")
    for name in names:
        page.curve([float(record[name]) for record in records], name.replace("_", " "))


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
