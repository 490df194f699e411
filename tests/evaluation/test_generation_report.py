import json

import numpy as np
import pytest

from trajinfer import IrregularSeries, Trajectories
from trajinfer._core.errors import InputError
from trajinfer.evaluation import generation_report
from trajinfer.evaluation.generation.copies import copy_figures
from trajinfer.evaluation.generation.figures_of_merit import kernel_figures
from trajinfer.evaluation.generation.samples import Samples


def walks(n, seed, *, steps=16, dim=1, noise=1.0):
    """Mean-reverting paths (n, T, C) about one of two levels."""
    rng = np.random.default_rng(seed)
    camp = rng.choice([-3.0, 3.0], (n, dim))
    x = camp + rng.normal(size=(n, dim))
    paths = [x]
    for _ in range(steps - 1):
        x = x + 0.2 * (camp - x) + noise * 0.6 * rng.normal(size=(n, dim))
        paths.append(x)
    return np.stack(paths, axis=1)


TRAIN, HELD = walks(900, 0), walks(500, 1)
SIZES = {"training": 240, "held out": 140, "synthetic": 140}


@pytest.fixture(scope="module")
def honest():
    return generation_report(TRAIN[:240], HELD[:140], walks(140, 2), n_seeds=2)


def flags(synthetic, **options):
    return generation_report(TRAIN, HELD, synthetic, n_seeds=2, **options).flags


@pytest.mark.parametrize("measure", [lambda *given: copy_figures(*given)[0], kernel_figures])
def test_paths_far_from_zero_are_judged_alike(measure):
    sets = walks(60, 0), walks(60, 1), walks(60, 0)
    near, far = (
        list(measure(Samples.of(*(c + s for s in sets), None, np.random.default_rng(0)), 0))
        for c in (0.0, 1e9)
    )
    for one, other in zip(near, far, strict=True):
        assert other.value == pytest.approx(one.value, abs=1e-4)
        assert other.limit == pytest.approx(one.limit, abs=1e-4)


def test_channels_in_another_order_are_refused():
    first, second, third = (walks(60, seed, dim=2) for seed in range(3))
    ts = np.arange(16.0)
    real = [IrregularSeries.from_arrays(ts, part, channels=["a", "b"]) for part in (first, second)]
    turned = Trajectories(ts, third, features=("b", "a"))
    with pytest.raises(InputError, match="one order"):
        generation_report(*real, turned)


def test_arrays_that_look_like_channels_by_times_are_remarked_on():
    given = [walks(20, seed, steps=3, dim=4) for seed in range(3)]
    with pytest.warns(UserWarning, match="real_train is an array.*3 times of 4 channels"):
        Samples.of(*given, None, np.random.default_rng(0))


def test_an_exact_simulator_passes(honest):
    assert honest.flags == set()
    assert 0.42 < honest["c2st_auc"].value < 0.58
    assert honest["nearest_ratio"].value == pytest.approx(1, abs=0.06)


def test_every_figure_has_an_interval_a_floor_and_a_limit(honest):
    table = honest.to_frame()
    assert np.isfinite(table[["value", "lower", "upper", "floor", "limit"]].to_numpy()).all()
    assert (table["lower"] <= table["value"]).all()
    assert (table["value"] <= table["upper"]).all()
    suspicious_when_low = table["limit"] < table["floor"]
    assert list(table.index[suspicious_when_low]) == ["nearest_ratio", "smoothed_nearest_ratio"]
    assert table.loc[["path_mmd", "signature_mmd"], "p_value"].between(0.002, 1).all()


def test_text_json_and_figure_say_the_same(honest):
    document = json.loads(honest.to_json())
    assert document["flags"] == []
    assert document["sizes"] == SIZES
    assert [row["metric"] for row in document["figures"]] == list(honest.to_frame().index)
    assert document["figures"][0]["p_value"] is None
    text = str(honest)
    assert "nothing found" in text
    assert all(figure.metric in text for figure in honest.figures)
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    axes = honest.plot()
    assert axes.get_yticklabels()[0].get_text() == "ks mean"
    assert sum(len(line.get_xdata()) for line in axes.lines[2:]) == len(honest.figures)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_report(honest):
    given = Trajectories(np.arange(16), TRAIN[:240])
    again = generation_report(given, HELD[:140], walks(140, 2), n_seeds=2)
    assert again.to_json() == honest.to_json()


def test_the_training_set_itself_is_a_copy():
    report = generation_report(TRAIN[:160], HELD[:80], TRAIN[:80], n_seeds=2)
    assert report.flags == {"copies"}


@pytest.mark.slow
def test_noise_does_not_hide_a_copy():
    rng = np.random.default_rng(3)
    found = flags(TRAIN[:500] + rng.normal(0, 0.3, (500, 16, 1)))
    assert {"copies", "classifier"} <= found


@pytest.mark.slow
def test_a_mode_collapsed_to_one_and_a_mode_too_light():
    fresh = walks(2000, 4)
    upper = fresh[fresh[:, :, 0].mean(axis=1) > 0]
    lower = fresh[fresh[:, :, 0].mean(axis=1) < 0]
    assert {"modes", "marginals", "classifier", "paths"} <= flags(upper[:500])
    assert "modes" in flags(np.concatenate([upper[:350], lower[:150]]))


@pytest.mark.slow
def test_shuffled_time_is_seen_though_no_marginal_moves_much():
    rng = np.random.default_rng(5)
    found = flags(walks(500, 6)[:, rng.permutation(16)])
    assert {"dynamics", "classifier", "shape"} <= found
    assert "modes" not in found


@pytest.mark.slow
def test_too_much_noise_is_seen():
    assert {"classifier", "dynamics"} & flags(walks(500, 7, noise=1.3))


@pytest.mark.slow
def test_dependence_on_the_neighbour_is_seen_at_any_time():
    partners = TRAIN[:500]
    own = walks(500, 8)
    assert "dependence" not in flags(own, neighbours=partners)
    leaning = own.copy()
    leaning[:, 8:] = 0.9 * own[:, 8:] + 0.43 * partners[:, 8:]
    assert "dependence" in flags(leaning, neighbours=partners)


@pytest.mark.slow
def test_channels_that_do_not_go_together():
    real = [walks(400, seed, dim=2) for seed in (10, 11, 12)]
    for paths in real:
        paths[:, :, 1] = 0.7 * paths[:, :, 0] + 0.7 * paths[:, :, 1]
    honest = generation_report(*real, n_seeds=2)
    assert honest.flags == set()
    apart = real[2].copy()
    apart[:, :, 1] = apart[np.random.default_rng(0).permutation(400), :, 1]
    assert "channels" in generation_report(real[0], real[1], apart, n_seeds=2).flags


@pytest.mark.slow
def test_groups_are_kept_whole_and_raise_the_floor():
    # Paths of one group share most of their course: a classifier that saw the group knows them.
    # Generated paths are drawn one by one.
    rng = np.random.default_rng(0)

    def families(n_groups, size):
        common = walks(n_groups, rng.integers(10**6))
        return np.repeat(common, size, axis=0) + rng.normal(0, 0.1, (size * n_groups, 16, 1))

    train, held, fake = families(20, 30), families(10, 30), families(300, 1)
    groups = np.repeat(np.arange(30), 30)
    report = generation_report(train, held, fake, groups=(groups[:600], groups[600:]), n_seeds=2)
    assert report.grouped
    cut = generation_report(train, held, fake, n_seeds=2)
    assert cut["c2st_auc"].value > report["c2st_auc"].value + 0.1
    assert report["ks_mean"].floor > 2 * cut["ks_mean"].floor
    own = generation_report(
        train, held, train[:300], groups=(groups[:600], groups[600:]), n_seeds=2
    )
    assert "copies" in own.flags
    assert "copies" not in report.flags


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"real_train": TRAIN[:19]}, "at least 20"),
        ({"synthetic": HELD[:, :1]}, "length 1"),
        ({"synthetic": HELD[:, :8]}, "agree"),
        ({"synthetic": np.where(HELD > 3, np.nan, HELD)}, "finite"),
        ({"groups": (np.zeros(900), np.zeros(500))}, "both"),
        ({"groups": (np.zeros(900), np.ones(500))}, "two groups"),
        ({"groups": (np.zeros(3), np.ones(500))}, "groups must be"),
        ({"neighbours": TRAIN[:10]}, "one seed path"),
        ({"n_seeds": 1}, "n_seeds"),
        (
            {
                "real_train": Trajectories(np.arange(16), TRAIN),
                "synthetic": Trajectories(np.arange(16) / 2, HELD),
            },
            "time grids",
        ),
    ],
)
def test_bad_input_is_refused(arguments, message):
    given = {"real_train": TRAIN, "real_holdout": HELD, "synthetic": HELD, **arguments}
    with pytest.raises(InputError, match=message):
        generation_report(**given)


@pytest.mark.slow
def test_a_constant_channel_is_no_trouble_until_it_moves():
    def with_flat(paths, noise=0.0):
        flat = 5 + noise * np.random.default_rng(0).normal(size=paths.shape)
        return np.concatenate([paths, flat], axis=2)

    honest = generation_report(*(with_flat(p) for p in (TRAIN, HELD, walks(500, 2))), n_seeds=2)
    assert honest.flags == set()
    moved = generation_report(
        with_flat(TRAIN), with_flat(HELD), with_flat(walks(500, 2), 0.01), n_seeds=2
    )
    assert {"marginals", "classifier"} <= moved.flags
