"""Imports point down only: each room names the rooms and libraries it may use."""

import ast
from pathlib import Path

import pytest

import skib

ROOT = Path(skib.__file__).parent
STANDARD = {
    "__future__",
    "abc",
    "collections",
    "concurrent",
    "contextlib",
    "copy",
    "dataclasses",
    "functools",
    "html",
    "importlib",
    "inspect",
    "itertools",
    "json",
    "math",
    "numbers",
    "os",
    "pathlib",
    "shutil",
    "sys",
    "threading",
    "typing",
    "warnings",
    "weakref",
}
ARRAYS = {"numpy", "scipy", "torch"}
GROUND = {
    "skib._numerics",
    "skib._validation",
    "skib._version",
    "skib.exceptions",
}
FITTING = {"sklearn", "joblib"}
LOOKS_DOWN_ON = {
    "exceptions.py": set(),
    "_version.py": set(),
    "_numerics": STANDARD | ARRAYS | {"numba", "llvmlite", "triton", "skib.exceptions"},
    "_validation": STANDARD | ARRAYS | {"sklearn", "skib.exceptions", "skib._numerics"},
    "datasets": STANDARD | ARRAYS | GROUND | {"sklearn"},
    # Those who train with skorch or Lightning have them; nothing here needs them.
    "recording": STANDARD
    | ARRAYS
    | GROUND
    | {"sklearn", "skorch", "lightning", "pytorch_lightning"},
    "mutual_info": STANDARD | ARRAYS | GROUND | FITTING | {"skib.recording"},
    "metrics": STANDARD | ARRAYS | GROUND | {"sklearn"},
    "neural_network": STANDARD | ARRAYS | GROUND | FITTING | {"skib.recording"},
    "inspection": STANDARD
    | ARRAYS
    | GROUND
    | FITTING
    | {
        "skib.metrics",
        "skib.mutual_info",
        "skib.recording",
        "matplotlib",
        "pandas",
        "tqdm",
        "xarray",
    },
    "__init__.py": {
        "skib._version",
        "skib.datasets",
        "skib.inspection",
        "skib.metrics",
        "skib.mutual_info",
        "skib.neural_network",
        "skib.recording",
    },
}


def modules_of(room):
    path = ROOT / room
    return [path] if path.suffix else sorted(path.rglob("*.py"))


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import has no place in the allowed names: it fails.
            yield "." * node.level + (node.module or "")


def is_allowed(name, allowed):
    return any(f"{name}.".startswith(f"{a}.") for a in allowed)


@pytest.mark.parametrize("room", LOOKS_DOWN_ON)
def test_a_room_imports_only_what_lies_below(room):
    allowed = LOOKS_DOWN_ON[room] | {f"skib.{room.removesuffix('.py')}"}
    for path in modules_of(room):
        for name in imports_of(path):
            assert is_allowed(name, allowed), (path, name)


def test_every_room_is_watched():
    rooms = {path.name for path in ROOT.iterdir() if path.name != "__pycache__"}
    assert rooms - {"py.typed"} == set(LOOKS_DOWN_ON)


def test_only_the_displays_name_matplotlib():
    for path in ROOT.rglob("*.py"):
        names = set(imports_of(path))
        if any(is_allowed(name, {"matplotlib"}) for name in names):
            assert path.relative_to(ROOT).parts[0] == "inspection", path


def test_one_module_names_joblib_in_inspection():
    """Whatever runs over epochs and layers goes through the sweep."""
    for path in (ROOT / "inspection").glob("*.py"):
        if any(is_allowed(name, {"joblib"}) for name in imports_of(path)):
            assert path.name in ("_sweep.py", "_fingerprint.py"), path


def test_no_room_reaches_into_a_private_module_of_another():
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0]
        for name in imports_of(path):
            parts = name.split(".")
            if parts[0] == "skib" and len(parts) > 2 and parts[1] != room:
                is_private = parts[2].startswith("_") and parts[1] != "_numerics"
                assert not is_private, (path, name)
