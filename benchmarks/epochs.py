"""Whole fits of the estimator: set-up, bracket and corrected value included."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed

from benchmarks.activations import NOISE_STD, trained_clouds
from benchmarks.tables import markdown_table
from benchmarks.timing import interleaved, wall_seconds
from skib.mutual_info import GaussianMixtureMIEstimator

STAGES = {"early": 22, "middle": 200, "late": 1000}
N_EPOCHS = 84


def fit(clouds):
    """Information of one layer; the first layer has one centre per input."""
    X = clouds[:, 0] if clouds.shape[1] == 1 else clouds
    estimator = GaussianMixtureMIEstimator(NOISE_STD, n_mc=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X)


def layers_by_stage():
    """Clouds of every layer, early, midway and late in training."""
    return [_layers(n_epochs) for n_epochs in STAGES.values()]


def _layers(n_epochs):
    return [clouds.numpy() for clouds in trained_clouds(n_epochs=n_epochs)]


def fit_table():
    """CPU seconds of one thread for each layer and their sum."""
    rows = []
    for stage, n_epochs in STAGES.items():
        tasks = {
            depth: lambda c=clouds: fit(c)
            for depth, clouds in enumerate(_layers(n_epochs), start=1)
        }
        seconds = list(interleaved(tasks).values())
        cells = [f"{s:.2f}" for s in (*seconds, sum(seconds))]
        rows.append([f"{stage} ({n_epochs} epochs)", *cells])
        print(*rows[-1], sep="  ", flush=True)
    layers = [f"layer {depth}, s" for depth in range(1, len(seconds) + 1)]
    return markdown_table(["trained", *layers, "all, s"], rows)


def fit_all(layers):
    """Information of every layer of one epoch, on one thread."""
    torch.set_num_threads(1)
    return [fit(clouds).mutual_info_ for clouds in layers]


def trajectory_sentence():
    """Wall time of as many epochs as the published trajectories have, two workers."""
    stages = layers_by_stage()
    epochs = [stages[epoch % len(stages)] for epoch in range(N_EPOCHS)]
    with Parallel(n_jobs=2) as workers:
        work = {"all": lambda: workers(delayed(fit_all)(layers) for layers in epochs)}
        seconds = wall_seconds(work, repeats=1)["all"]
    sentence = f"{N_EPOCHS} epochs with n_jobs=2: {seconds:.0f} s of wall time."
    print(sentence, flush=True)
    return sentence


def memory_sentence():
    """Peak memory of a fit beyond its input, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.epochs"]
    peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    sentence = (
        "Peak memory of a fit on 4096 x 1000 x 10 float32, 164 MB: "
        f"{float(peak):.0f} MB above the input."
    )
    print(sentence, flush=True)
    return sentence


def _peak_of_a_large_fit():
    generator = np.random.default_rng(0)
    X = generator.random((4096, 1000, 10), dtype=np.float32)
    X *= 0.01
    X += generator.random((4096, 1, 10), dtype=np.float32)
    fit(X[:, :4])
    before = _peak()
    fit(X)
    return (_peak() - before) / 1000


def _peak():
    # Of this program alone; getrusage starts from the peak of the one that began it.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


if __name__ == "__main__":
    print(_peak_of_a_large_fit())
