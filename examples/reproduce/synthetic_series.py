"""The tables of the page on synthetic series: every figure it quotes, three seeds each.

    TRAJINFER_DATA=/path/to/data python examples/reproduce/synthetic_series.py rows.jsonl [name ...]

Seconds are those of the processor while fitting, on one thread. A row that is in the file is not
computed again, so a run that was broken off goes on. Without a name all of them are run (an hour
and a half on one thread); the table is printed at the end.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from trajinfer import DirectedChainGenerator, IrregularSeries
from trajinfer.datasets import (
    energy_dates,
    load_energy,
    load_stocks,
    make_fitzhugh_nagumo,
    make_opinion_dynamics,
    relative_prices,
)
from trajinfer.evaluation.generation.recurrent import prediction_error
from trajinfer.evaluation.generation.two_sample import classifier_auc
from trajinfer.generation import CDECritic, ExpectedSignature, PathMMD, TransitionLikelihood
from trajinfer.metrics import autocorrelation_error, channel_correlation_error, marginal_ks
from trajinfer.metrics.memorisation import Memorisation

SEEDS = (0, 1, 2)
JUDGED, MANY = 2048, 8192


def judged(fake, train, real, groups=None):
    """Figures of generated against held-out series (n, T, C)."""
    few = fake[:JUDGED]
    near = Memorisation.of(train, real, few)
    ks = marginal_ks(fake, real)
    fake_groups = np.arange(len(few)) if groups is None else np.arange(len(few)) % 12
    groups = np.arange(len(real)) if groups is None else groups
    return {
        "ks": float(ks.mean()),
        "ks_max": float(ks.max()),
        "acf": autocorrelation_error(few, real),
        "auc": classifier_auc(few, real, fake_groups, groups, range(3)).value,
        "correlation": channel_correlation_error(fake, real),
        "ratio": near.ratio,
        "copies": near.copy_share,
    }


def predicts(fake, train, real):
    """Error on real series of a predictor trained on generated ones, over that of real training."""
    errors = [[prediction_error(part, real, train, s) for part in (fake, train)] for s in range(3)]
    return {"tstr": float(np.divide(*np.mean(errors, axis=0)))}


def fitted(series, seed, groups=None, **settings):
    start = time.process_time()
    settings = {"transform": "standard", **settings}
    generator = DirectedChainGenerator(random_state=seed, **settings).fit(series, groups=groups)
    return generator, {"seconds": time.process_time() - start}


def opinion(seed, every=1, deleted=0.0, **settings):
    """Opinions, trained on every so-many-th of 101 points, judged on all of them."""
    data = make_opinion_dynamics(random_state=0)
    series = IrregularSeries.from_arrays(data.train.ts[::every], data.train.values[:, ::every])
    if deleted:
        series = series.drop_observations(deleted, seed).compact()
    generator, row = fitted(series, seed, **settings)
    drawn = generator.sample(MANY, data.train.ts).values
    if generator.dependence_ is not None:
        row["dependence"] = generator.dependence_.links[generator.chain_steps_ - 1]
        row["null"] = generator.dependence_.null
    parts = drawn, data.train.values, data.hold_out.values
    return row | judged(*parts) | predicts(*parts)


def opinion_26(seed, loss):
    """Opinions at 26 points, trained and judged there, by one loss of whole paths."""
    data = make_opinion_dynamics(random_state=0)
    train, real = data.train.values[:, ::4], data.hold_out.values[:, ::4]
    generator, row = fitted(IrregularSeries.from_arrays(data.train.ts[::4], train), seed, loss=loss)
    return row | judged(generator.sample(MANY).values, train, real)


def neurons(seed):
    """FitzHugh-Nagumo neurons: three channels, one of them without noise."""
    data = make_fitzhugh_nagumo(random_state=0)
    generator, row = fitted(data.train, seed)
    drawn, real = generator.sample(MANY).values, data.hold_out.values
    row["modes"] = abs(float((drawn[:, -1, 0] > 0).mean() - (real[:, -1, 0] > 0).mean()))
    return row | judged(drawn, data.train.values, real)


def stocks(seed, offset):
    """Windows of prices, held out by blocks of time."""
    data = load_stocks(offset=offset)
    generator, row = fitted(data.train, seed, transform="relative")
    drawn = generator.sample(len(data.hold_out)).values
    body = drawn[..., [0, 3]]
    row["violations"] = int(
        (drawn[..., 1] < body.max(-1)).sum() + (drawn[..., 2] > body.min(-1)).sum()
    )
    parts = [relative_prices(v) for v in (drawn, data.train.values, data.hold_out.values)]
    returns = [np.diff(part[..., 3], axis=1).ravel() for part in parts]
    row["kurtosis"], row["kurtosis_train"] = (kurtosis(r) for r in returns[:2])
    row["tail"] = float(np.quantile(abs(returns[0]), 0.995) / np.quantile(abs(returns[1]), 0.995))
    return row | judged(*parts, data.hold_out_groups) | predicts(*parts)


def energy(seed, offset):
    """Days of three meters and their sum, held out by blocks of weeks."""
    data = load_energy(offset=offset)
    midnight = energy_dates(offset=offset)[0].to_numpy()[:, None]
    times = midnight + np.arange(96) * np.timedelta64(15, "m")
    series = IrregularSeries.from_arrays(times, data.train.values, channels=data.train.features)
    generator, row = fitted(series, seed, transform="daily")
    drawn, real = generator.sample(len(data.hold_out) * 4).values, data.hold_out.values
    row["sum_error"] = float(np.abs(drawn[..., 2] - drawn[..., 0] - drawn[..., 1]).max())
    row["zeros"] = float((drawn[..., 3] == 0).mean())
    row["zeros_train"] = float((data.train.values[..., 3] == 0).mean())
    days = [part.mean(axis=1, keepdims=True) for part in (drawn, data.train.values, real)]
    row["daily_ks"] = float(marginal_ks(days[0], days[2]).mean())
    row["daily_ks_train"] = float(marginal_ks(days[1], days[2]).mean())
    return row | judged(drawn, data.train.values, real, data.hold_out_groups)


def real_days(seed, offset):
    """Training days, judged as if they were generated: what the figures above can reach."""
    data = load_energy(offset=offset)
    real = data.train.values
    groups = np.arange(len(real)) % 12, data.hold_out_groups
    seeds = range(3 * seed, 3 * seed + 3)
    return {"auc": classifier_auc(real, data.hold_out.values, *groups, seeds).value}


def systems(seed, neighbour):
    """256 systems of 64 agents, three quarters of them to learn from."""
    data = make_opinion_dynamics(64, n_systems=256, random_state=0)
    batch = 256 if neighbour == "pool" else 4096
    loss = TransitionLikelihood(n_steps=2000, batch_size=batch)
    generator, row = fitted(data.train, seed, data.train_groups, neighbour=neighbour, loss=loss)
    drawn, real = generator.sample(4096).values, data.hold_out.values
    for name, paths in (("fake", drawn), ("real", real)):
        last = paths[:, -1, 0].reshape(-1, 64)
        row[f"between_{name}"] = float(last.mean(axis=1).std())
        row[f"within_{name}"] = float(last.std(axis=1).mean())
    return row | judged(drawn, data.train.values, real)


def kurtosis(x):
    centred = x - x.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2)


COARSE = (TransitionLikelihood(n_steps=1500), PathMMD(n_steps=1500, substeps=5))
COARSE_TO_FINE = (PathMMD(lr=3e-3, stride=4), PathMMD())
CELLS = {
    "opinion": opinion,
    "opinion, one neighbour": lambda s: opinion(s, neighbour="one"),
    "opinion, 30 % deleted": lambda s: opinion(s, deleted=0.3),
    "opinion, 11 points, likelihood": lambda s: opinion(s, 10, loss=COARSE[0]),
    "opinion, 11 points": lambda s: opinion(s, 10, loss=COARSE),
    "opinion, path MMD": lambda s: opinion(s, loss=PathMMD(lr=3e-3)),
    "opinion, path MMD from coarse to fine": lambda s: opinion(s, loss=COARSE_TO_FINE),
    "opinion at 26, likelihood": lambda s: opinion_26(s, "likelihood"),
    "opinion at 26, 100 steps": lambda s: opinion_26(s, TransitionLikelihood(n_steps=100)),
    "opinion at 26, path MMD": lambda s: opinion_26(s, PathMMD(lr=3e-3)),
    "opinion at 26, signature W1": lambda s: opinion_26(s, ExpectedSignature(lr=3e-3)),
    "opinion at 26, critic": lambda s: opinion_26(s, CDECritic()),
    "neurons": neurons,
    "systems, pool": lambda s: systems(s, "pool"),
    "systems, one": lambda s: systems(s, "one"),
    "systems, none": lambda s: systems(s, "none"),
    **{f"stocks {k}": lambda s, k=k: stocks(s, k) for k in range(4)},
    **{f"energy {k}": lambda s, k=k: energy(s, k) for k in range(4)},
    **{f"energy {k}, real days": lambda s, k=k: real_days(s, k) for k in range(4)},
}


def main(path, names):
    torch.set_num_threads(1)
    # links of the weakly trained chains may still be dependent; the table says by how much
    warnings.simplefilter("ignore", UserWarning)
    done = {}
    if path.exists():
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        done = {(row["name"], row["seed"]): row for row in rows}
    for seed in SEEDS:
        for name in names or CELLS:
            if (name, seed) not in done:
                row = {"name": name, "seed": seed, **CELLS[name](seed)}
                done[name, seed] = row
                with path.open("a") as lines:
                    lines.write(json.dumps(row) + "\n")
    show(done, names or CELLS)


def show(done, names):
    for name in names:
        rows = [done[name, seed] for seed in SEEDS if (name, seed) in done]
        keys = [key for key in rows[0] if key not in ("name", "seed")]
        cells = (f"{key} {' '.join(f'{row[key]:.3g}' for row in rows)}" for key in keys)
        print(f"{name}: {'; '.join(cells)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
