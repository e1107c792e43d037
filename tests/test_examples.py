"""The examples run as they stand, and end in a picture."""

import runpy
from pathlib import Path

import matplotlib as mpl
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
# `make demo` runs the main one, which takes minutes.
MAIN = EXAMPLES / "information_flow" / "plot_szt_information_flow.py"
SCRIPTS = sorted(set(EXAMPLES.glob("*/plot_*.py")) - {MAIN})


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_example(script, monkeypatch):
    import matplotlib.pyplot as plt

    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.extend(plt.get_fignums()))
    with mpl.rc_context({"backend": "Agg"}):
        runpy.run_path(str(script), run_name="__main__")
    plt.close("all")
    assert shown
