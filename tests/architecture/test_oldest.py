"""`make test-oldest` installs the lower bounds that the package states, and no others."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUIREMENT = re.compile(r"(?P<name>[\w-]+)>=(?P<oldest>[\d.]+)")


def test_the_oldest_constraints_are_the_lower_bounds():
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    bounds = [REQUIREMENT.fullmatch(text) for text in stated["project"]["dependencies"]]
    assert all(bounds), "a dependency is stated by its lower bound alone"
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins == [f"{bound['name']}=={bound['oldest']}" for bound in bounds]
