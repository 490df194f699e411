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
    Row("milstein", "P1", 1.01, 1.68e-3),
    Row("sra1", "P2", 1.63, 3.11e-5),
    Row("sra3", "P2", 1.57, 3.05e-5),
    Row("sosra", "P2", 1.71, 3.25e-5),
    Row("sosra2", "P2", 1.66, 3.15e-5),
)

WITHOUT_ORDER = {"exact": "its law is tested instead"}
