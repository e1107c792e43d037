"""Code in the README and the docs runs as typed and prints what it says."""

import doctest
from pathlib import Path

import matplotlib
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _no_windows():
    with matplotlib.rc_context({"backend": "Agg"}):
        yield


@pytest.mark.parametrize(
    ("page", "at_least"),
    [("README.md", 10), ("docs/architecture.md", 4), ("docs/noisy_networks.md", 6)],
)
def test_code_of_the_pages(page, at_least):
    results = doctest.testfile(str(ROOT / page), module_relative=False)
    assert results.attempted >= at_least
    assert results.failed == 0
