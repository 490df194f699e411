"""What draws lose of the law of series, told by comparison with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from trajinfer._core.checks import Array

_FAR = 4.0
_PERIOD = 0.2
_RATIO = 1.25
_TAIL_RATIO = 1.5
_CORRELATION = 0.15
_AUC = 0.6
# a spread that varies by less is the same in every series
_EXACT = 1e-8
_HALVES = 2
_MOST_COLUMNS = 300
_MOST_PAIRS = 3


def lost(names: Sequence[str], real: Array, drawn: Array) -> tuple[str, ...]:
    """Sentences on what the draws lose; empty where nothing was found.

    A difference counts where it is large (a share of power at the main period off by a fifth, a
    spread by a quarter, a far quantile by half, a correlation by .15) and, where its error is
    known, four standard errors from none. What a classifier tells comes first; of pairs of channels
    the three furthest off are named, and the others counted.

    Args:
        names: of the C channels.
        real: series (n, T, C), NaN where missing or after the end.
        drawn: (m, T', C).
    """
    area = _classifier_area(real, drawn)
    told = f"a classifier tells draws from series (area under the curve {area:.2f})"
    found = [told] if area > _AUC else []
    found += [
        sentence
        for c, name in enumerate(names)
        for sentence in _of_channel(name, real[..., c], drawn[..., c])
    ]
    rows = [part.reshape(-1, len(names)) for part in (real, drawn)]
    rows = [part[~np.isnan(part).all(axis=1)] for part in rows]
    found += _worst(_between_channels(names, *rows), "pairs of channels correlate otherwise")
    found += _worst(_missing(names, rows[0]), "pairs of channels, one missing as the other has it")
    return tuple(found)


def _worst(found: Iterable[tuple[float, str]], others: str) -> list[str]:
    """The sentences on the largest sizes, and how many more there are."""
    ordered = sorted(found, key=lambda pair: -pair[0])
    left = len(ordered) - _MOST_PAIRS
    told = [sentence for _, sentence in ordered[:_MOST_PAIRS]]
    return [*told, f"{left} more {others}"] if left > 0 else told


def _of_channel(name: str, real: Array, drawn: Array) -> Iterator[str]:
    own, ours = (_spread_and_error(x) for x in (real, drawn))
    far = abs(np.log(max(ours[0], 1e-300) / max(own[0], 1e-300)))
    if far > max(np.log(_RATIO), _FAR * np.hypot(own[1], ours[1])):
        yield f"{name}: the spread within a series is {ours[0]:.3g}, not {own[0]:.3g}"
    share = [_variation(x) for x in (real, drawn)]
    if share[0] < _EXACT < share[1] / 100:
        yield (
            f"{name}: the spread within a series is always {own[0]:.3g}; "
            f"in draws it varies by {share[1]:.2g} of that"
        )
    steps = [np.abs(np.diff(x, axis=1)) for x in (real, drawn)]
    known = [x[np.isfinite(x)] for x in steps]
    if min(map(len, known)) > 2000:
        tails = [float(np.quantile(x, 0.999)) for x in known]
        if tails[0] > 0 and not 1 / _TAIL_RATIO < tails[1] / tails[0] < _TAIL_RATIO:
            yield f"{name}: the 99.9 % quantile of steps is {tails[1]:.3g}, not {tails[0]:.3g}"
    memory = [_step_memory(x) for x in (real, drawn)]
    if abs(memory[1] - memory[0]) > _CORRELATION:
        yield f"{name}: steps correlate by {memory[1]:.2f} with the next one, not {memory[0]:.2f}"
    spectra = [_spectrum(x) for x in (real, drawn)]
    if min(map(len, spectra)) > 1 and len(spectra[0]) == len(spectra[1]):
        main = int(spectra[0].argmax())
        shares = [float(part[main]) for part in spectra]
        # noise has its power everywhere, and no period to lose
        is_period = shares[0] > 3 * float(np.median(spectra[0])) and main > 0
        if is_period and abs(shares[1] / shares[0] - 1) > _PERIOD:
            yield (
                f"{name}: {shares[1]:.0%} of the power lies at the main period, not {shares[0]:.0%}"
            )


def _between_channels(
    names: Sequence[str], real: Array, drawn: Array
) -> Iterator[tuple[float, str]]:
    for c in range(len(names)):
        for k in range(c):
            pair = [_correlation(rows[:, k], rows[:, c]) for rows in (real, drawn)]
            off = abs(pair[1] - pair[0])
            if off > _CORRELATION:
                told = f"{names[k]} and {names[c]} correlate by {pair[1]:.2f}, not {pair[0]:.2f}"
                yield off, told


def _missing(names: Sequence[str], real: Array) -> Iterator[tuple[float, str]]:
    """Missing values that depend on other values: their pattern is kept, this dependence is not."""
    for c, name in enumerate(names):
        hole = np.isnan(real[:, c]).astype(float)
        for k, other in enumerate(names):
            if k == c or not 0 < hole.mean() < 1:
                continue
            size = _correlation(hole, real[:, k])
            if abs(size) > _CORRELATION:
                told = f"{name}: that values are missing depends on {other}"
                yield abs(size), f"{told} (correlation {size:.2f})"


def _spread_and_error(x: Array) -> tuple[float, float]:
    """Root of the mean variance within a series, and the standard error of its logarithm."""
    variances = _variances(x)
    mean = float(variances.mean())
    if mean <= 0:
        return 0.0, 0.0
    return float(np.sqrt(mean)), float(variances.std() / np.sqrt(len(variances)) / (2 * mean))


def _variation(x: Array) -> float:
    """Standard deviation over mean of the spread within a series."""
    spreads = np.sqrt(_variances(x))
    mean = float(spreads.mean())
    return float(spreads.std()) / mean if mean > 0 else 0.0


def _variances(x: Array) -> Array:
    """(n',) of the values of every series that has two or more."""
    enough = np.isfinite(x).sum(axis=1) > 1
    return np.nanvar(x[enough], axis=1) if enough.any() else np.zeros(1)


def _step_memory(x: Array) -> float:
    steps = np.diff(x, axis=1)
    return _correlation(steps[:, 1:].ravel(), steps[:, :-1].ravel())


def _correlation(x: Array, y: Array) -> float:
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 20 or x[known].std() == 0 or y[known].std() == 0:
        return 0.0
    return float(np.corrcoef(x[known], y[known])[0, 1])


def _spectrum(x: Array) -> Array:
    """Shares of power by frequency, over complete series; () where there are none."""
    complete = x[np.isfinite(x).all(axis=1)]
    if len(complete) < 10 or x.shape[1] < 6:
        return np.empty(0)
    centred = complete - complete.mean(axis=1, keepdims=True)
    power = (np.abs(np.fft.rfft(centred, axis=1)[:, 1:]) ** 2).mean(axis=0)
    total = float(power.sum())
    return np.asarray(power / total) if total > 0 else np.empty(0)


def _classifier_area(real: Array, drawn: Array) -> float:
    """Area under the curve of trees on values and steps, on series they have not learned."""
    # imported here, since they take longer to load than the room
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    length = min(real.shape[1], drawn.shape[1])
    parts = [x[:, :length] for x in (real, drawn)]
    table = np.concatenate(
        [np.concatenate([x, np.diff(x, axis=1)], axis=1).reshape(len(x), -1) for x in parts]
    )
    table = table[:, np.unique(np.linspace(0, table.shape[1] - 1, _MOST_COLUMNS).astype(int))]
    truth = np.repeat([0, 1], [len(x) for x in parts])
    trees = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=7, random_state=0)
    folds = StratifiedKFold(_HALVES, shuffle=True, random_state=0)
    said = cross_val_predict(trees, table, truth, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(truth, said))
