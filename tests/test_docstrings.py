"""Docstrings parse, and name every parameter, as numpydoc's validator wants them."""

import importlib
import inspect

import pytest

ROOMS = ["neural_network", "recording", "datasets"]
# House style: named return values, summaries on the first line that may be nouns, and
# no section for its own sake.
NOT_ASKED = {"ES01", "EX01", "GL01", "GL02", "RT02", "SA01", "SS05"}


def public_names():
    for room in ROOMS:
        module = importlib.import_module(f"skib.{room}")
        for name in module.__all__:
            thing, path = getattr(module, name), f"skib.{room}.{name}"
            if not getattr(thing, "_is_protocol", False):  # never constructed
                yield path
            if inspect.isclass(thing):
                members = inspect.getmembers(thing)
                yield from (f"{path}.{key}" for key, each in members if ours(key, each))


def ours(name, member):
    is_method = inspect.isfunction(member) or inspect.ismethod(member)
    from_skib = is_method and member.__module__.startswith("skib")
    return not name.startswith("_") and (from_skib or isinstance(member, property))


@pytest.mark.parametrize("name", list(public_names()))
def test_the_docstring_is_valid(name):
    validate = pytest.importorskip("numpydoc.validate").validate
    errors = [error for error in validate(name)["errors"] if error[0] not in NOT_ASKED]
    assert errors == []
