"""How soon, for whom: years until death after a heart transplant, by the age of the donor.

    TRAJINFER_DATA=... python examples/ask_transplant.py [figure.png]

Stages of vessel disease are seen at visits; rates depend on sex and the donor's age.
"""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from trajinfer import JumpSeries, MarkovJumpProcess
from trajinfer import functionals as F
from trajinfer.plot.style import BLUE, GREY, VERMILION

STAGES = ("none", "mild", "severe", "dead")
YEARS = np.linspace(0.25, 15, 60)


def main(file: Path, picture: str) -> None:
    panel = np.load(file)
    stages = np.array(STAGES)[panel["states"]]
    table = pd.DataFrame({"patient": panel["subject"], "years": panel["times"]})
    table["stage"] = pd.Categorical(stages, categories=STAGES)
    table["sex"], table["dage"] = panel["x_sex"], panel["x_dage"]
    table["seen"] = np.where(table["stage"] == "dead", "absorption", "snapshot")
    data = JumpSeries.from_frame(
        table,
        id="patient",
        time="years",
        state="stage",
        observation="seen",
        covariates=["sex", "dage"],
    )
    links = np.zeros((4, 4), dtype=bool)
    links[[0, 0, 1, 1, 1, 2, 2], [1, 3, 0, 2, 3, 1, 3]] = True
    chosen = {("none", "mild"): ["sex"], ("none", "dead"): ["dage"]}
    model = MarkovJumpProcess(links=links, covariates=chosen, random_state=0).fit(data)
    figure = Figure(figsize=(9.6, 3.9), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    first = table.groupby("patient").first()
    for old, colour in ((False, BLUE), (True, VERMILION)):
        group = first[(first["sex"] == 0) & ((first["dage"] >= 35) == old)]
        age = group["dage"].mean()
        chain = F.Chain(model.rates({"sex": 0, "dage": age}), STAGES)
        law = F.passage(chain, F.states("dead"), ["none"], ts=YEARS)
        mean, half = law.mean[0], law.quantile(0.5)[0]
        print(f"men, donor of {age:.0f}: mean {mean:.1f} years, half by {half:.1f}")
        left.plot(YEARS, law.survival[0], color=colour, label=f"model, donor of {age:.0f}")
        seen = kaplan_meier(table[table["patient"].isin(group.index)])
        word = "35 and older" if old else "younger than 35"
        label = f"patients, donors {word}"
        left.step(*seen, where="post", color=colour, linestyle=":", label=label)
    left.set(xlabel="years since the transplant", ylabel="alive", ylim=(0, 1), xlim=(0, 15))
    left.set_title("men without disease at first")
    left.legend(fontsize="small")
    chain = F.Chain(model.rates({"sex": 0, "dage": 30}), STAGES)
    for stage, colour in zip(STAGES[:3], (BLUE, GREY, VERMILION)):
        law = F.passage(chain, F.states("dead"), [stage], ts=YEARS)
        right.plot(YEARS, law.survival[0], color=colour, label=f"now {stage}")
    right.set(title="men, donor of 30, by stage", xlabel="years from now")
    right.legend(fontsize="small")
    figure.savefig(picture)


def kaplan_meier(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Years and the share alive; patients who were last seen alive are censored."""
    last = table.groupby("patient").last().sort_values("years")
    dead = (last["stage"] == "dead").to_numpy()
    alive = np.cumprod(1 - dead / (len(last) - np.arange(len(last))))
    return np.append(0.0, last["years"]), np.append(1.0, alive)


if __name__ == "__main__":
    file = Path(os.environ.get("TRAJINFER_DATA", ".")) / "mjp" / "panel_cav.npz"
    if not file.is_file():
        sys.exit(f"this example needs {file.name}: set TRAJINFER_DATA to the folder of data")
    main(file, sys.argv[1] if len(sys.argv) > 1 else "ask_transplant.png")
