"""Public docstrings are numpydoc: parameters by name, order and type."""

import importlib
import inspect
from dataclasses import is_dataclass

import pytest
from numpydoc.validate import Validator, validate

ROOMS = [
    "skib",
    "skib.datasets",
    "skib.inspection",
    "skib.metrics",
    "skib.mutual_info",
    "skib.mutual_info.bounds",
    "skib.neural_network",
    "skib.recording",
]
# What a reader would stumble over: names, order and types of parameters, sections that
# do not parse, results without a word.
MATTER = {
    *("GL01", "GL02", "GL03", "GL06", "GL07", "GL08", "SS03", "SS04"),
    *("PR01", "PR02", "PR03", "PR04", "PR05", "PR10", "RT01"),
}


def public_objects():
    seen = {}
    for room in ROOMS:
        module = importlib.import_module(room)
        for name in module.__all__:
            found = getattr(module, name)
            is_protocol = getattr(found, "_is_protocol", False)
            is_documented = inspect.isclass(found) or inspect.isfunction(found)
            if is_documented and not is_protocol:
                seen[found] = f"{room}.{name}"
    for found, path in list(seen.items()):
        yield path
        if inspect.isclass(found):
            for name, member in vars(found).items():
                is_method = inspect.isfunction(member) or isinstance(
                    member, (classmethod, staticmethod)
                )
                if is_method and not name.startswith("_"):
                    yield f"{path}.{name}"


@pytest.mark.parametrize("path", list(public_objects()))
def test_docstring(path):
    found = Validator._load_obj(path)
    # Fields of a result are documented as its attributes.
    is_result = is_dataclass(found) or hasattr(found, "_fields")
    for code, message in validate(path)["errors"]:
        if code in MATTER and not (code == "PR01" and is_result):
            raise AssertionError((code, message))
