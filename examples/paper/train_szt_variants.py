"""Train the twelve networks that `plot_szt_variants.py` draws, and measure them.

    python examples/paper/train_szt_variants.py

Ten minutes on two cores. The networks, and every value as it is found, are kept in
`results/szt_variants`, so that a run that was stopped goes on where it was; what is
drawn goes to `examples/paper/szt_variants`, which comes with skib.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

from skib import NetworkMIEstimator, NoisyMLPClassifier, information_flow, make_szt
from skib.inspection import clustering_flow, combine_flows
from skib.neural_network import fit_seeds
from skib.recording import Recording

KEPT = Path("results/szt_variants")
DRAWN = Path(__file__).parent / "szt_variants"
N_SEEDS = 3
# What they have in common is the recipe of the paper.
RECIPE = NoisyMLPClassifier(
    hidden_layer_sizes=(10, 7, 5, 4, 3),
    noise_std=0.005,
    alpha=0.0,
    batch_size=256,
    learning_rate_init=4e-4,
    max_iter=8000,
    n_iter_no_change=np.inf,
    record_epochs=24,
)
VARIANTS = {
    "tanh": {"activation": "tanh"},
    "orthonormal": {"activation": "tanh", "orthonormality": 1e-3},
    "linear": {"activation": "identity"},
    "relu": {"activation": "relu"},
}


def recordings_of(variant, X, y):
    """Return what the seeds of a variant recorded, trained or as kept before."""
    paths = [KEPT / f"{variant}_{seed}.npz" for seed in range(N_SEEDS)]
    if not all(path.exists() for path in paths):
        network = RECIPE.set_params(**{"orthonormality": 0.0, **VARIANTS[variant]})
        networks = fit_seeds(network, X, y, random_states=N_SEEDS, n_jobs=2)
        for each, path in zip(networks, paths, strict=True):
            each.recording_.save(path)
    return [Recording.load(path) for path in paths]


def scores(recording, parts):
    """Return accuracy and cross-entropy of the noise-free network, a row per epoch."""
    rows = []
    for epoch in recording.epochs:
        row = {"epoch": epoch}
        for part, (X, y) in parts.items():
            chances = recording.predict_proba(X, epoch=epoch)
            row[f"{part}_accuracy"] = accuracy_score(y, chances.argmax(axis=1))
            row[f"{part}_loss"] = log_loss(y, chances)
        rows.append(row)
    return pd.DataFrame(rows)


def measure(recordings, X, y):
    """Return information, and distances in the last layer, of all seeds."""
    settings = {"n_jobs": 2, "memory": KEPT / "memory", "verbose": 1}
    estimator = NetworkMIEstimator(n_mc=2)
    flows, clusterings = [], []
    for seed, recording in enumerate(recordings):
        settings["random_state"] = seed
        flows.append(information_flow(recording, X, estimator=estimator, **settings))
        clusterings.append(
            clustering_flow(
                recording, X, y, metrics=["euclidean"], layers=[-1], **settings
            )
        )
    return combine_flows(flows), combine_flows(clusterings)


def main():
    """Train, measure, and write what is drawn."""
    X, y = make_szt()
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=3277, random_state=0
    )
    parts = {"train": (X_train, y_train), "test": (X_test, y_test)}
    KEPT.mkdir(parents=True, exist_ok=True)
    DRAWN.mkdir(exist_ok=True)
    tables = {}
    for variant in VARIANTS:
        print(variant, flush=True)
        recordings = recordings_of(variant, X_train, y_train)
        for seed, recording in enumerate(recordings):
            tables[variant, seed] = scores(recording, parts)
        information, clustering = measure(recordings, X, y)
        information.save(DRAWN / f"{variant}_information.npz")
        clustering.save(DRAWN / f"{variant}_clustering.npz")
    table = pd.concat(tables, names=["variant", "seed", None])
    table.droplevel(-1).round(5).to_csv(DRAWN / "scores.csv")


if __name__ == "__main__":
    main()
