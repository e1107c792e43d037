"""Accuracy and cost of `information_flow` on the network of the paper.

python -m benchmarks.network_aware    # some 20 minutes on one core, prints the tables

The reference knows nothing of the weights: kernel averages over 1024 activations per
input, extrapolated, several times with fresh noise. It shares no code path with the
importance sampling.
"""

import time
import warnings

import numpy as np
import torch

from benchmarks.__main__ import markdown_table
from skib import GaussianMixtureMIEstimator, NoisyMLPClassifier, Recording
from skib.datasets import make_szt
from skib.exceptions import SkibWarning
from skib.inspection import information_flow

TRAINING_NOISE = 0.005
EPOCHS = [22, 509, 10_000]
LAYERS = [3, 4, 5]
REFERENCE_DRAWS, REFERENCE_REPEATS = 1024, 6


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


def reference(recording, X, y, epoch, layer):
    """Mean and standard error over independent repeats, of I(X;T) and I(Y;T)."""
    found = []
    for seed in range(REFERENCE_REPEATS):
        activations = recording.activations(
            X, epoch=epoch, layer=layer, n_draws=REFERENCE_DRAWS, random_state=seed
        )
        estimator = GaussianMixtureMIEstimator(
            recording.noise_std[0], n_mc=2, random_state=seed
        )
        estimator.fit(activations.astype(np.float32), y)
        found.append([estimator.mutual_info_, estimator.label_mutual_info_])
    return np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / len(found) ** 0.5


def compare(recording, X, y, layers):
    """One row per (epoch, layer), and the CPU seconds of each epoch."""
    rows = []
    for epoch in recording.epochs:
        start = time.process_time()
        flow = information_flow(recording, X, y, epochs=[epoch], random_state=0)
        seconds = time.process_time() - start
        for layer in layers:
            rows.append(row_of(recording, X, y, flow, epoch, layer, seconds))
            print(*rows[-1], sep="  ", flush=True)
    return rows


def row_of(recording, X, y, flow, epoch, layer, seconds):
    at = layer - 1
    (value, label), (error, label_error) = reference(recording, X, y, epoch, layer)
    estimate, estimate_error = (
        flow.mutual_info[0, at],
        flow.mutual_info_std_error[0, at],
    )
    allowed = 0.01 + 2 * np.hypot(estimate_error, error)
    return [
        recording.noise_std[0],
        epoch,
        layer,
        f"{estimate:.4f} ± {estimate_error:.4f}",
        f"{flow.mutual_info_low[0, at]:.3f} to {flow.mutual_info_high[0, at]:.3f}",
        f"{value:.4f} ± {error:.4f}",
        f"{estimate - value:+.4f}",
        "yes" if abs(estimate - value) <= allowed else "no",
        f"{flow.label_mutual_info[0, at] - label:+.4f}"
        f" ± {np.hypot(flow.label_mutual_info_std_error[0, at], label_error):.4f}",
        f"{seconds:.1f}",
    ]


def main():
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", SkibWarning)
    X, y = make_szt()
    recording = with_noise(train(X, y), TRAINING_NOISE)
    # The generated kernels are compiled once, on the first call.
    information_flow(recording, X, y, epochs=[EPOCHS[0]], random_state=0)
    rows = compare(recording, X, y, LAYERS)
    for noise_std in (0.05, 0.5):
        rows += compare(with_noise(recording, noise_std), X, y, [3, 5])
    header = [
        *("noise_std", "epoch", "layer", "I(X;T)", "bracket", "reference"),
        *("off", "within 0.01 + 2 SE", "I(Y;T) off", "CPU s, 5 layers"),
    ]
    print(markdown_table(header, rows))


if __name__ == "__main__":
    main()
