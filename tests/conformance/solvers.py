"""One row per solver: the problem it is measured on, its strong order there, its error at 2^-8.

A solver without a row fails tests/sde/test_strong_orders.py. "P1" is multiplicative (Ito),
"P1s" the same in Stratonovich form, "P2" additive, "P3" geometric Brownian motion (Stratonovich),
"ode" a nonlinear oscillator. The levels are root mean square errors of 4000 paths.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    method: str
    problem: str
    slope: float
    level: float | None = None


ROWS = (
    Row("euler", "P1", 0.53, 1.48e-2),
    Row("euler", "P2", 1.00, 4.97e-3),
    Row("tamed_euler", "P1", 0.50),
    Row("milstein", "P1", 1.01, 1.68e-3),
    Row("milstein", "P1s", 1.01),
    Row("milstein_df", "P1", 0.97, 2.03e-3),
    Row("heun", "P1s", 1.06, 1.48e-3),
    Row("heun", "P2", 1.01, 1.32e-3),
    Row("reversible_heun", "P2", 1.04, 1.32e-3),
    Row("reversible_heun", "P3", 1.02),
    Row("midpoint", "P1s", 1.10, 5.86e-4),
    Row("midpoint", "P2", 1.0),
    Row("sra1", "P2", 1.63, 3.11e-5),
    Row("sra3", "P2", 1.57, 3.05e-5),
    Row("sosra", "P2", 1.71, 3.25e-5),
    Row("sosra2", "P2", 1.66, 3.15e-5),
    Row("sea", "P2", 0.99, 3.56e-3),
    Row("shark", "P2", 1.69, 2.63e-5),
    Row("sriw1", "P1", 1.48, 1.27e-4),
    Row("sriw2", "P1", 1.52, 1.31e-4),
    Row("sosri", "P1", 1.52, 1.63e-4),
    Row("sosri2", "P1", 1.53, 1.17e-4),
    Row("spark", "P1s", 1.04, 7.48e-4),
    Row("spark", "P2", 1.57, 1.95e-5),
    Row("general_shark", "P1s", 1.07, 1.15e-3),
    Row("slowrk", "P1s", 1.57, 2.57e-5),
    Row("tsit5", "ode", 5.0),
    Row("bosh3", "ode", 3.0),
    Row("heun_ode", "ode", 2.0),
    Row("euler", "ode", 1.0),
)

WITHOUT_ORDER = {"exact": "its law is tested instead", "exp_euler": "tests of its own"}
