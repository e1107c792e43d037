"""Memory of a fit, in a process of its own."""

import subprocess
import sys

import pytest

PEAK_OF_A_LARGE_FIT = """
import warnings
from pathlib import Path
import numpy as np
from skib.mutual_info import GaussianMixtureMIEstimator

def peak():
    # Of this program alone; getrusage starts from the peak of the one that began it.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])

warnings.simplefilter("ignore")
random = np.random.default_rng(0)
X = random.random((4096, 1000, 10), dtype=np.float32)
X *= {spread}
X += random.random((4096, 1, 10), dtype=np.float32)
estimator = GaussianMixtureMIEstimator(noise_std=0.005, n_mc={n_mc}, random_state=0)
estimator.fit(X[:, :4])
before = peak()
estimator.fit(X)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's record of it")
@pytest.mark.parametrize(("n_mc", "spread"), [(1, 0.01), (2, 0.01), (1, 0.5)])
def test_fit_needs_two_copies_and_little_more(n_mc, spread):
    """400 MB above an input of 164, whether clouds are tight or fill the space."""
    process = subprocess.run(
        [sys.executable, "-c", PEAK_OF_A_LARGE_FIT.format(n_mc=n_mc, spread=spread)],
        capture_output=True,
        text=True,
        check=True,
    )
    kilobytes = int(process.stdout)
    assert kilobytes < 400_000


MANY_LABELS = """
import warnings
from pathlib import Path
import numpy as np
from skib.mutual_info import GaussianMixtureMIEstimator

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])

warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(4000, 3))
estimator = GaussianMixtureMIEstimator(noise_std=0.3, random_state=0)
estimator.fit(X[:100], np.arange(100) % 2)
before = peak()
estimator.fit(X, np.arange(4000) % 1000)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's record of it")
def test_many_labels_need_little_more_than_their_joint_law():
    """32 MB for 4000 inputs with 1000 labels, several times; not samples x labels."""
    process = subprocess.run(
        [sys.executable, "-c", MANY_LABELS], capture_output=True, text=True, check=True
    )
    assert int(process.stdout) < 300_000
