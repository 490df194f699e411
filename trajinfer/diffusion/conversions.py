r"""One table of predictions: clean data, noise, velocity and score of a path, each from the others.

With $x_u = \alpha x + \sigma\xi$ every prediction is affine in $D = E[x \mid x_u]$.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from torch import Tensor

from trajinfer._core.errors import InputError, nearest
from trajinfer.diffusion.paths import GaussianPath

Prediction = Literal["x", "eps", "velocity", "score"]

_Rates = tuple[float, float, float, float]

# prediction -> (D, x_u, alpha, sigma, alpha', sigma') -> its value
_FROM_CLEAN: dict[str, Callable[[Tensor, Tensor, _Rates], Tensor]] = {
    "x": lambda clean, *_: clean,
    "eps": lambda clean, x, r: (x - r[0] * clean) / r[1],
    "score": lambda clean, x, r: (r[0] * clean - x) / r[1] ** 2,
    "velocity": lambda clean, x, r: r[2] * clean + r[3] * (x - r[0] * clean) / r[1],
}
_TO_CLEAN: dict[str, Callable[[Tensor, Tensor, _Rates], Tensor]] = {
    "x": lambda value, *_: value,
    "eps": lambda value, x, r: (x - r[1] * value) / r[0],
    "score": lambda value, x, r: (x + r[1] ** 2 * value) / r[0],
    "velocity": lambda value, x, r: (value - r[3] / r[1] * x) / (r[2] - r[3] * r[0] / r[1]),
}


def convert(
    value: Tensor,
    x: Tensor,
    level: float,
    path: GaussianPath,
    *,
    source: Prediction,
    target: Prediction,
) -> Tensor:
    r"""Turn one prediction into another, under white noise.

    Args:
        value: the prediction `source` at x, (B, D).
        x: state of the path at the level, (B, D), in the path's own coordinates.
        level: u in [0, 1].
        path: gives alpha, sigma and their derivatives.
        source, target: "x", "eps", "velocity" or "score".

    Raises:
        InputError: at an end of the path where the conversion is 0/0.

    Example:
        >>> import torch
        >>> from trajinfer.scores import StraightPath
        >>> x = torch.tensor([[1.0]])
        >>> convert(torch.zeros(1, 1), x, 0.5, StraightPath(), source="x", target="eps").item()
        2.0
    """
    for word in (source, target):
        if word not in _FROM_CLEAN:
            raise InputError(f"no prediction {word!r}; {nearest(word, get_args(Prediction))}")
    if source == target:
        return value
    alpha, sigma = path.alpha(level), path.sigma(level)
    _require(source in ("eps", "score", "velocity"), alpha, sigma, level, source, target)
    rates = (alpha, sigma, path.alpha_rate(level), path.sigma_rate(level))
    return _FROM_CLEAN[target](_TO_CLEAN[source](value, x, rates), x, rates)


def _require(
    by_alpha: bool, alpha: float, sigma: float, level: float, source: str, target: str
) -> None:
    if sigma <= 0:
        raise InputError(
            f"at level {level} there is no noise, and {source} -> {target} is 0/0; ask below it"
        )
    if by_alpha and alpha <= 0:
        raise InputError(
            f"at level {level} there is no data, and {source} -> {target} is 0/0; ask above it"
        )
