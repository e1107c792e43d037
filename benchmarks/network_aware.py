"""Accuracy and cost of `information_flow` on the network of the paper.

python -m benchmarks.network_aware    # ten minutes on one core, prints the table

The reference knows nothing of the weights: kernel averages over hundreds of activations
per input, extrapolated, several times with fresh noise.
"""

import time
import warnings

import numpy as np
import torch
from scipy.stats import sem

from benchmarks.__main__ import markdown_table
from skib import GaussianMixtureMIEstimator, NoisyMLPClassifier, Recording
from skib.datasets import make_szt
from skib.exceptions import SkibWarning
from skib.inspection import information_flow

TRAINING_NOISE = 0.005
EPOCHS = [22, 509, 10_000]
# Noise that the layers are measured with: epochs, layers; draws and repeats of the
# reference. Wider kernels need fewer draws, and cost more each.
CASES = {
    0.005: (EPOCHS, [3, 4, 5], 1024, 4),
    0.05: ([22, 10_000], [3, 5], 512, 3),
    0.5: ([22, 10_000], [3, 5], 256, 3),
}
N_RUNS = 5
HEADER = [
    *("noise_std", "epoch", "layer", "I(X;T)", "bracket", "reference", "off"),
    *("within 0.01 + 2 SE", "off, mean of runs", "I(Y;T) off, mean", "CPU s, 5 layers"),
]


def train(X, y):
    rows = np.random.RandomState(0).permutation(len(X))[:3277]
    network = NoisyMLPClassifier(
        (10, 7, 5, 4, 3),
        "tanh",
        noise_std=TRAINING_NOISE,
        alpha=0,
        learning_rate_init=4e-4,
        batch_size=256,
        max_iter=10_000,
        n_iter_no_change=np.inf,
        record_epochs=EPOCHS,
        random_state=0,
    )
    return network.fit(X[rows], y[rows]).recording_


def with_noise(recording, noise_std):
    """Return the same weights with other noise."""
    return Recording.from_weights(
        recording.epochs,
        [coefs[:5] for coefs in recording.coefs],
        [intercepts[:5] for intercepts in recording.intercepts],
        activation=recording.activation,
        noise_std=noise_std,
    )


def reference(recording, X, y, epoch, layer, n_draws, n_repeats):
    """Mean and standard error over independent repeats, of I(X;T) and I(Y;T)."""
    found = []
    for seed in range(n_repeats):
        activations = recording.activations(
            X, epoch=epoch, layer=layer, n_draws=n_draws, random_state=100 + seed
        )
        estimator = GaussianMixtureMIEstimator(
            recording.noise_std[0], n_mc=2, random_state=seed
        )
        estimator.fit(activations.astype(np.float32), y)
        errors = (
            estimator.mutual_info_std_error_,
            estimator.label_mutual_info_std_error_,
        )
        found.append([(estimator.mutual_info_, estimator.label_mutual_info_), errors])
    values, errors = np.mean(found, axis=0)
    return values, errors / n_repeats**0.5


def compare(recording, X, y, epochs, layers, *effort):
    """One row per (epoch, layer), with the CPU seconds of one run for the epoch."""
    rows = []
    for epoch in epochs:
        start = time.process_time()
        flows = [
            information_flow(recording, X, y, epochs=[epoch], random_state=seed)
            for seed in range(N_RUNS)
        ]
        seconds = (time.process_time() - start) / N_RUNS
        for layer in layers:
            truth = reference(recording, X, y, epoch, layer, *effort)
            where = [recording.noise_std[0], epoch, layer]
            rows.append([*where, *cells_of(flows, layer, truth), f"{seconds:.1f}"])
            print(*rows[-1], sep="  ", flush=True)
    return rows


def cells_of(flows, layer, truth):
    """Show the first run in full, and the mean of all, where a bias would show."""

    def at_layer(name):
        return np.array([getattr(flow, name)[0, layer - 1] for flow in flows])

    (value, label), (error, label_error) = truth
    found, own_error = at_layer("mutual_info"), at_layer("mutual_info_std_error")
    low, high = at_layer("mutual_info_low")[0], at_layer("mutual_info_high")[0]
    off, combined = found - value, np.hypot(own_error, error)
    return [
        f"{found[0]:.4f} ± {own_error[0]:.4f}",
        f"{low:.3f} to {high:.3f}",
        f"{value:.4f} ± {error:.4f}",
        f"{off[0]:+.4f}",
        f"{np.sum(np.abs(off) <= 0.01 + 2 * combined)} of {N_RUNS}",
        mean_off(found, value, error),
        mean_off(at_layer("label_mutual_info"), label, label_error),
    ]


def mean_off(found, value, error):
    """Mean difference, with the spread of the runs and the error of the reference."""
    return f"{np.mean(found) - value:+.4f} ± {np.hypot(sem(found), error):.4f}"


def main():
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", SkibWarning)
    X, y = make_szt()
    trained = train(X, y)
    # The generated kernels are compiled once, on the first call.
    small = with_noise(trained, TRAINING_NOISE)
    information_flow(small, X, y, epochs=[EPOCHS[0]], random_state=0)
    rows = []
    for noise_std, case in CASES.items():
        rows += compare(with_noise(trained, noise_std), X, y, *case)
    print(markdown_table(HEADER, rows))


if __name__ == "__main__":
    main()
