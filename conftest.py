"""What is not collected: estimators of sktime, where that is not installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("sktime") else ["trajinfer/adapters/sktime.py"]
