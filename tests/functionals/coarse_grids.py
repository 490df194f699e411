"""A mark of tests whose grids are coarse on purpose, which warns."""

import pytest

COARSE = pytest.mark.filterwarnings("ignore:cells are so wide", "ignore:a share .* meets the edge")
