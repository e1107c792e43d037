"""The wheel holds everything, and nothing but the extras' features needs the extras."""

import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

import skib

ROOT = Path(__file__).parents[1]


def run(code):
    """Run code where the extras cannot be imported."""
    without_extras = """
        import sys
        for name in ("matplotlib", "numba", "pandas", "tqdm"):
            sys.modules[name] = None
    """
    code = textwrap.dedent(without_extras) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def test_the_wheel_holds_every_module_and_the_type_marker(tmp_path):
    # Built from a copy: setuptools would leave its build folder among the sources.
    source = tmp_path / "source"
    shutil.copytree(ROOT / "skib", source / "skib")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    arguments = ["--no-deps", "--no-build-isolation", "--quiet", "-w", str(tmp_path)]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", str(source), *arguments], check=True
    )
    (wheel,) = tmp_path.glob("skib-*.whl")
    assert skib.__version__ in wheel.name
    files = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(p.relative_to(ROOT)) for p in (ROOT / "skib").rglob("*.py")}
    assert modules | {"skib/py.typed"} <= files
    assert not any(name.startswith(("tests", "benchmarks")) for name in files)


FLOW = """
    import numpy as np
    from skib import Recording, information_flow
    random = np.random.RandomState(0)
    recording = Recording.from_weights(
        [0], [[random.randn(3, 4), random.randn(4, 2)]], [[np.zeros(4), np.zeros(2)]],
        activation="tanh", noise_std=0.3,
    )
    X = random.randn(200, 3)
    flow = information_flow(recording, X, n_draws=32, random_state=0)
    assert 0 < flow.mutual_info[0, 1] < flow.mutual_info[0, 0] < np.log(200)
"""


def test_the_main_job_needs_no_extra():
    result = run(FLOW)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("use", "library"),
    [
        ("flow.plot()", "matplotlib"),
        ("flow.to_frame()", "pandas"),
        ("information_flow(recording, X, verbose=1)", "tqdm"),
    ],
)
def test_a_missing_extra_is_named_with_what_to_install(use, library):
    result = run(FLOW + f"    {use}")
    assert result.returncode != 0
    assert "ImportError" in result.stderr
    assert library in result.stderr
    assert "pip install 'skib[plot]'" in result.stderr
