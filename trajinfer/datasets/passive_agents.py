"""`follow_opinions`: new paths of a realisation of opinion dynamics, exact or slightly wrong."""

from __future__ import annotations

import numpy as np
import torch

from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.data import Trajectories
from trajinfer.datasets.series_split import SeriesSplit
from trajinfer.processes import OpinionDynamics

_PLACES = 4096
_FEWEST = 1000
_VOLATILITY = 0.1


def follow_opinions(
    crowd: SeriesSplit,
    n: int,
    *,
    noise: float = 1.0,
    pull: float = 1.0,
    random_state: RandomState = None,
) -> Trajectories:
    """Agents who follow a crowd that does not notice them.

    All agents of a large crowd feel one drift, a function of time and position. New agents under
    that drift have the law of the crowd's own: they stand for a perfect generator, or for one
    whose noise or drift is off by a known factor.

    Args:
        crowd: from `make_opinion_dynamics`, one system with its default parameters.
        n: number of new agents, who start uniformly on (-2, 2).
        noise: factor on the volatility.
        pull: factor on the drift.
        random_state: seed or generator.

    Returns:
        n paths of one coordinate on the times of the crowd, which must be fine: one step of the
        Euler scheme leads from each to the next.

    Raises:
        InputError: for a crowd of fewer than 1000, whose drift depends on who is in it.
    """
    n = require_integer(n, "n", least=1)
    agents = np.concatenate([crowd.train.values, crowd.hold_out.values])[:, :, 0]
    if len(agents) < _FEWEST:
        raise InputError(
            f"the crowd has {len(agents)} agents; at least {_FEWEST} are needed for a drift that "
            "one more agent does not change"
        )
    rng = np.random.default_rng(seed_from(random_state))
    process = OpinionDynamics(len(agents), 6.0, 0.2, volatility=_VOLATILITY, n_grid=_PLACES)
    x = rng.uniform(-2, 2, n)
    paths = [x]
    for t, step in enumerate(np.diff(crowd.train.ts)):
        places = torch.from_numpy(np.sort(agents[:, t]))
        with torch.no_grad():
            drift = process.drift(places.new_tensor(t), places[None], process.values())[0]
        felt = np.interp(x, places.numpy(), drift.numpy())
        shock = _VOLATILITY * np.sqrt(step) * rng.normal(size=n)
        x = x + pull * felt * step + noise * shock
        paths.append(x)
    return Trajectories(crowd.train.ts, np.stack(paths, axis=1)[:, :, None], features=("opinion",))
