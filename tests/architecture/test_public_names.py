"""Every public name exists and says what it is."""

import importlib
import inspect
import pkgutil

import pytest

import trajinfer

ROOMS = [
    f"trajinfer.{found.name}"
    for found in pkgutil.iter_modules(trajinfer.__path__)
    if found.ispkg and not found.name.startswith("_")
]

# here, not in a test: what sklearn's progress bar imports draws from the generator of `random`
EVERYTHING = [getattr(trajinfer, name) for name in trajinfer.__all__]


@pytest.mark.parametrize("room", ["trajinfer", *ROOMS])
def test_public_names_are_there_and_documented(room):
    module = importlib.import_module(room)
    assert module.__doc__
    assert module.__all__ == sorted(module.__all__, key=_as_ruff_sorts)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{room}.{name} has no docstring"


def _as_ruff_sorts(name):
    """Constants, then classes, then the rest, as `ruff` keeps `__all__`."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name


@pytest.mark.parametrize("room", ROOMS)
def test_a_list_of_arguments_is_complete(room):
    module = importlib.import_module(room)
    missing = []
    for name in module.__all__:
        value = getattr(module, name)
        if not inspect.isfunction(value) or not value.__module__.startswith(room):
            continue
        text = inspect.getdoc(value) or ""
        parameters = inspect.signature(value).parameters
        if "Args:" in text:
            missing += [f"{name}({p})" for p in parameters if p not in text]
    assert not missing


def test_the_front_page_lists_what_it_gives():
    assert set(dir(trajinfer)) == set(trajinfer.__all__)
    for name in trajinfer.__all__:
        assert getattr(trajinfer, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'brigdes'"):
        _ = trajinfer.brigdes


def test_the_version_is_that_of_the_package():
    from importlib.metadata import version

    assert trajinfer.__version__ == version("trajinfer")
