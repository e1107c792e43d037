"""Training speed as ratios within one run.

    python -m benchmarks.bench_training    # the tables of docs/performance.md

Contenders take turns in one process on one thread; the figures are CPU seconds, the
smallest of the repeats. Seeds shared out among two workers are timed by the clock on
the wall, against one seed timed likewise. Single figures depend on the machine: read
the ratios.
"""

import warnings
from itertools import pairwise

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from benchmarks.tables import markdown_table
from benchmarks.timing import interleaved, wall_seconds
from skib.datasets import make_szt
from skib.neural_network import NoisyMLPClassifier, fit_seeds

N_REPEATS = 9
N_SEEDS = 8
RECIPE = {
    "activation": "tanh",
    "alpha": 0.0,
    "batch_size": 256,
    "learning_rate_init": 4e-4,
    "n_iter_no_change": np.inf,
}
TINY = (10, 7, 5, 4, 3)
WIDE = (512, 256)


def noisy_torch_loop(X, y, hidden, *, n_epochs, batch_size, noise_std):
    """Train as a short script would: nn.Module, autograd, Adam, no DataLoader."""

    class WithNoise(torch.nn.Module):
        def forward(self, values):
            return values + noise_std * torch.randn_like(values)

    sizes = [X.shape[1], *hidden]
    layers = []
    for n_in, n_out in pairwise(sizes):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.Tanh(), WithNoise()]
    n_classes = int(y.max()) + 1
    network = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], n_classes))
    optimizer = torch.optim.Adam(network.parameters(), lr=RECIPE["learning_rate_init"])
    X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    for _ in range(n_epochs):
        for rows in torch.randperm(len(X)).split(batch_size):
            loss = torch.nn.functional.cross_entropy(network(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def tiny_data():
    X, y = make_szt()
    return X[:3277], y[:3277]


def tiny_networks(n_epochs=40):
    recipe = {**RECIPE, "max_iter": n_epochs}
    return {
        "no noise": NoisyMLPClassifier(TINY, noise_std=0, **recipe),
        "noise": NoisyMLPClassifier(TINY, noise_std=0.005, **recipe),
    }


def tiny_contenders(n_epochs=40):
    X, y = tiny_data()
    reference = MLPClassifier(TINY, random_state=0, **RECIPE, max_iter=n_epochs)
    options = {"n_epochs": n_epochs, "batch_size": 256, "noise_std": 0.005}
    networks = tiny_networks(n_epochs)
    alone = {f"skib, {kind}": lambda n=n: n.fit(X, y) for kind, n in networks.items()}
    together = {
        f"skib, {kind}, {N_SEEDS} seeds": lambda n=n: fit_seeds(
            n, X, y, random_states=N_SEEDS
        )
        for kind, n in networks.items()
    }
    return {
        "MLPClassifier, no noise": lambda: reference.fit(X, y),
        "plain torch loop, noise": lambda: noisy_torch_loop(X, y, TINY, **options),
        **alone,
        **together,
    }


def gains_of_seeds(network):
    """How much cheaper, in wall time per seed, seeds together are than one alone."""
    X, y = tiny_data()
    seconds = wall_seconds(
        {
            "alone": lambda: network.fit(X, y),
            1: lambda: fit_seeds(network, X, y, random_states=N_SEEDS),
            2: lambda: fit_seeds(network, X, y, random_states=N_SEEDS, n_jobs=2),
        },
        N_REPEATS,
    )
    return [N_SEEDS * seconds["alone"] / seconds[n_jobs] for n_jobs in (1, 2)]


def wide_contenders(n_epochs=2):
    random = np.random.RandomState(0)
    X, y = random.uniform(size=(2560, 784)), random.randint(10, size=2560)
    recipe = {**RECIPE, "batch_size": 128, "max_iter": n_epochs}
    noisy = NoisyMLPClassifier(WIDE, noise_std=0.05, **recipe)
    reference = MLPClassifier(WIDE, random_state=0, **recipe)
    options = {"n_epochs": n_epochs, "batch_size": 128, "noise_std": 0.05}
    return {
        "MLPClassifier, no noise": lambda: reference.fit(X.astype(np.float32), y),
        "plain torch loop, noise": lambda: noisy_torch_loop(X, y, WIDE, **options),
        "skib, noise": lambda: noisy.fit(X, y),
    }


def table(seconds):
    """CPU seconds, and times faster than scikit-learn, per seed."""
    reference = seconds["MLPClassifier, no noise"]
    rows = [
        [name, f"{each:.3f}", f"{reference / each:.1f}x"]
        for name, each in seconds.items()
    ]
    return markdown_table(["contender", "CPU s per seed", "speed"], rows)


def per_seed(seconds):
    together = f"{N_SEEDS} seeds"
    return {
        name: each / N_SEEDS if name.endswith(together) else each
        for name, each in seconds.items()
    }


def main():
    torch.set_num_threads(1)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        tiny = per_seed(interleaved(tiny_contenders(), N_REPEATS))
        print(f"12-10-7-5-4-3-2, 3277 samples, batch 256, 40 epochs\n\n{table(tiny)}\n")
        for kind, network in tiny_networks().items():
            one, two = gains_of_seeds(network)
            print(
                f"{N_SEEDS} seeds together, {kind}: {one:.1f}x cheaper per seed than "
                f"one, {two:.1f}x with n_jobs=2"
            )
        wide = interleaved(wide_contenders(), N_REPEATS)
        print(f"\n784-512-256-10, 2560 samples, batch 128, 2 epochs\n\n{table(wide)}")


if __name__ == "__main__":
    main()
