"""Where to: the law of a drifter in the Gulf of Mexico ten days after it was seen.

    TRAJINFER_DATA=... python examples/ask_drifter.py [figure.png]

A vortex is fitted to every second snapshot of drifters that are never followed, its noise with it.
A unit of time of the file is 1.3 days, a unit of space a degree.
"""

import sys

import numpy as np
from matplotlib.figure import Figure

from trajinfer import SchrodingerBridge, datasets
from trajinfer import functionals as F
from trajinfer.plot.style import VERMILION
from trajinfer.processes import Vortex

DAYS = 1.3


def main(data: datasets.Dataset, picture: str) -> None:
    bridge = SchrodingerBridge(Vortex(), volatility="likelihood", random_state=0).fit(data.train)
    print({name: np.round(value, 3) for name, value in bridge.parameters_.items()})
    start = data.train.points[0].mean(axis=0)
    every = np.concatenate(data.train.points)
    low, high = every.min(axis=0) - 2.4, every.max(axis=0) + 2.4
    days = np.array([2.6, 5.2, 10.4])
    print("volatility", bridge.volatility_)
    law = F.density(bridge, [start], days / DAYS, domain=(low, high), resolution=300)
    figure = Figure(figsize=(10.4, 3.7), layout="constrained", dpi=110)
    for k, ax in enumerate(figure.subplots(1, 3, sharex=True, sharey=True)):
        side = [np.linspace(a, b, 120) for a, b in zip(low, high)]
        mesh = np.stack(np.meshgrid(*side), axis=-1)
        shape = law.log_prob(law.ts[k], mesh.reshape(-1, 2)).reshape(mesh.shape[:2])
        ax.contourf(*side, np.exp(shape), levels=12, cmap="Blues")
        ax.plot(*start, marker="x", color="black", linestyle="none", label="seen here")
        t = data.train.times[0] + days[k] / DAYS
        seen = np.abs(data.train.times - t).argmin()
        label = f"drifters, day {DAYS * (data.train.times[seen] - data.train.times[0]):.1f}"
        ax.scatter(*data.train.points[seen].T, s=4, color=VERMILION, label=label)
        ax.set(title=f"after {days[k]:g} days", xlabel="longitude (degrees, relative)")
        ax.set(xlim=(low[0] + 1.6, high[0] - 1.6), ylim=(low[1] + 1.6, high[1] - 1.6))
        ax.legend(fontsize="small", loc="lower left")
        miss = np.linalg.norm(data.train.points[seen].mean(axis=0) - law.mean[k])
        print(
            f"{days[k]:g} days: the mean of the drifters is {miss:.2f} degrees from that of the law"
        )
    figure.axes[0].set_ylabel("latitude (degrees, relative)")
    figure.savefig(picture)


if __name__ == "__main__":
    try:
        drifters = datasets.fetch_gulf_of_mexico("gom_vortex_sbirr", download_if_missing=False)
    except datasets.DatasetError as error:
        sys.exit(f"this example needs data that may not be shipped: {error}")
    main(drifters, sys.argv[1] if len(sys.argv) > 1 else "ask_drifter.png")
