"""How often the report on generated series is wrong: flags on honest samples, copies not seen.

    python examples/reproduce/report_flags.py [honest | copies] [REPORTS]

Honest: training, held-out and generated series are of one law, and a report with any flag is a
false one. Five laws take turns (a stationary autoregression, walks with heavy tails, counts, waves
of random phase, a channel beside its running sum), at four sizes; at most 5 % are wanted. Copies:
one series or all hold training data, altered in one of twelve ways, among fresh series of the same
laws; at least 90 % are to be flagged as copies. Printed are counts, for each size or way, with the
flags or laws that they come from.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable

import numpy as np

from trajinfer.evaluation import generation_report
from trajinfer.evaluation.generation.copies import copy_figures
from trajinfer.evaluation.generation.samples import Samples

N_REPORTS = 100
SIZES = [(40, 20, 20), (60, 30, 30), (120, 60, 60), (200, 100, 30)]
SHAPE = (24, 3)  # times and channels of the series in which copies are looked for
COPY_SIZES = (240, 120, 120)

Paths = np.ndarray
Law = Callable[[int, int, int, np.random.Generator], Paths]


def reverting(n: int, n_times: int, dim: int, rng: np.random.Generator) -> Paths:
    x = rng.normal(size=(n, dim))
    rows = [x]
    for _ in range(n_times - 1):
        x = 0.9 * x + np.sqrt(0.19) * rng.normal(size=(n, dim))
        rows.append(x)
    return np.stack(rows, axis=1)


def walks(n: int, n_times: int, dim: int, rng: np.random.Generator) -> Paths:
    return rng.standard_t(3, (n, n_times, dim)).cumsum(axis=1)


def counts(n: int, n_times: int, dim: int, rng: np.random.Generator) -> Paths:
    return rng.poisson(np.exp(0.5 * reverting(n, n_times, dim, rng) + 3.0)).astype(float)


def waves(n: int, n_times: int, dim: int, rng: np.random.Generator) -> Paths:
    turns = np.arange(n_times)[:, None] / 8 + rng.uniform(size=(n, 1, dim))
    return np.sin(2 * np.pi * turns) + 0.3 * rng.normal(size=(n, n_times, dim))


def sums(n: int, n_times: int, dim: int, rng: np.random.Generator) -> Paths:
    x = reverting(n, n_times, dim, rng)
    x[..., -1] = x[..., 0].cumsum(axis=1) / 4 if dim > 1 else x[..., 0].cumsum(axis=1)
    return x


LAWS: tuple[Law, ...] = (reverting, walks, counts, waves, sums)


def altered(x: Paths, part: tuple[slice, ...], source: Paths) -> Paths:
    copied = x.copy()
    copied[part] = source
    return copied


def noisy(x: Paths, rng: np.random.Generator) -> Paths:
    return x + 0.02 * x.std(axis=(0, 1)) * rng.normal(size=x.shape)


WAYS: dict[str, Callable[[Paths, Paths, np.random.Generator], Paths]] = {
    "all series": lambda t, f, _: t[: len(f)].copy(),
    "1 % of the series": lambda t, f, _: altered(f, np.s_[:1], t[:1]),
    "one channel of three, in all": lambda t, f, _: altered(f, np.s_[..., 1], t[: len(f), :, 1]),
    "one channel of three, in 1 %": lambda t, f, _: altered(f, np.s_[:1, :, 1], t[:1, :, 1]),
    "the first half of all": lambda t, f, _: altered(f, np.s_[:, :12], t[: len(f), :12]),
    "a stretch of eight rows in two": lambda t, f, _: altered(f, np.s_[:2, 9:17], t[:2, 9:17]),
    "a stretch moved in time": lambda t, f, _: altered(f, np.s_[:2, 2:12], t[5:7, 11:21]),
    "turned": lambda t, f, _: -t[: len(f)],
    "reversed": lambda t, f, _: t[: len(f), ::-1].copy(),
    "scaled and shifted, 1 %": lambda t, f, _: altered(f, np.s_[:1], 3 * t[5:6] - 2),
    "channels exchanged": lambda t, f, _: t[: len(f), :, ::-1].copy(),
    "with 2 % of noise": lambda t, f, rng: noisy(t[: len(f)], rng),
}


def three(law: Law, sizes: tuple[int, ...], shape: tuple[int, int], seed: int) -> list[Paths]:
    """Training, held-out and generated series of one law."""
    rng = np.random.default_rng(seed)
    return [law(n, *shape, rng) for n in sizes]


def honest(n_reports: int) -> None:
    for sizes in SIZES:
        flags: Counter[str] = Counter()
        wrong = 0
        for seed in range(n_reports):
            law = LAWS[seed % len(LAWS)]
            sets = three(law, sizes, (12 + 4 * (seed % 3), 1 + seed % 2), seed)
            report = generation_report(*sets, n_seeds=2, random_state=seed)
            raised = [f.metric for f in report.figures if f.flagged]
            flags.update(f"{law.__name__}: {metric}" for metric in raised)
            wrong += bool(raised)
        print(f"honest {sizes}: {wrong} of {n_reports} flagged {dict(flags)}", flush=True)


def copies(n_reports: int) -> None:
    for way, alter in WAYS.items():
        missed: Counter[str] = Counter()
        for seed in range(n_reports):
            law = LAWS[seed % len(LAWS)]
            train, held, fake = three(law, COPY_SIZES, SHAPE, seed)
            rng = np.random.default_rng(seed)
            samples = Samples.of(train, held, alter(train, fake, rng), None, rng)
            if not any(figure.flagged for figure in copy_figures(samples, seed)[0]):
                missed[law.__name__] += 1
        found = n_reports - missed.total()
        print(f"{way}: {found} of {n_reports} flagged, missed {dict(missed)}", flush=True)


def main(words: list[str]) -> None:
    n_reports = next((int(word) for word in words if word.isdigit()), N_REPORTS)
    for name, count in (("honest", honest), ("copies", copies)):
        if name in words or not {"honest", "copies"} & set(words):
            count(n_reports)


if __name__ == "__main__":
    main(sys.argv[1:])
