"""Stages of a disease after a heart transplant, seen at visits; the time of death is known."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from trajinfer.data import JumpSeries
from trajinfer.jumps import LabelNoise, MarkovJumpProcess


def main(file: Path) -> None:
    panel = np.load(file)
    stages = np.array(["none", "mild", "severe", "dead"])
    table = pd.DataFrame({"patient": panel["subject"], "years": panel["times"]})
    table["stage"] = pd.Categorical(stages[panel["states"]], categories=stages)
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
    print(data)

    links = np.zeros((4, 4), dtype=bool)
    links[[0, 0, 1, 1, 1, 2, 2], [1, 3, 0, 2, 3, 1, 3]] = True
    model = MarkovJumpProcess(method="mle", links=links).fit(data)
    print(f"-2 log-likelihood {-2 * model.log_likelihood_:.3f}")
    print("rates per year:")
    for i, j in np.argwhere(links):
        low, high = model.intervals_[i, j]
        print(f"{stages[i]:>6} -> {stages[j]:6} {model.rates_[i, j]:.4f} ({low:.4f}, {high:.4f})")

    start = JumpSeries.from_arrays([[0.0]], [["none"]], categories=stages)
    survival = 1 - model.predict_proba(start, [1, 5, 10])[0, :, 3]
    print("alive after 1, 5, 10 years:", survival.round(3))

    print("patients in each stage against constant rates:")
    print(model.prevalence(data, [4, 8, 12]).round(1).to_string(index=False))

    chosen = {("none", "mild"): ["sex"], ("none", "dead"): ["dage"]}
    effects = MarkovJumpProcess(links=links, covariates=chosen).fit(data).effects_
    print("hazard ratios, women against men and per year of the donor's age:")
    print(effects.round(3).to_string(index=False))

    noise = np.eye(4)
    noise[0, :2], noise[1, :3], noise[2, 1:3] = [0.9, 0.1], [0.1, 0.8, 0.1], [0.1, 0.9]
    doctors = MarkovJumpProcess(
        method="em", links=np.triu(links, 1), label_noise=LabelNoise(noise, learn=True)
    ).fit(data)
    print(f"no recovery, diagnoses may err: {-2 * doctors.log_likelihood_:.1f}")
    print(np.round(doctors.label_noise_, 3))


source = Path(os.environ.get("TRAJINFER_DATA", ".")) / "mjp" / "panel_cav.npz"
if source.is_file():
    main(source)
else:
    print(f"skipped: {source} is not there; set TRAJINFER_DATA to the folder that holds mjp/")
