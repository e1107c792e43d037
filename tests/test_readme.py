"""The README's code runs as typed and prints what it says."""

import doctest
from pathlib import Path

import matplotlib
import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(autouse=True)
def _no_windows():
    with matplotlib.rc_context({"backend": "Agg"}):
        yield


def test_readme():
    results = doctest.testfile(str(README), module_relative=False)
    assert results.attempted > 10
    assert results.failed == 0
