"""Is a network with little noise a proxy of the deterministic one? Digits, 8 seeds.

    python benchmarks/digits_noise.py

Prints the table of docs/noise_as_proxy.md.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skib.neural_network import NoisyMLPClassifier, fit_seeds

SETTINGS = {
    "none": {"noise_std": 0.0},
    "0.05": {"noise_std": 0.05},
    "0.1": {"noise_std": 0.1},
    "0.2": {"noise_std": 0.2},
    "0.5": {"noise_std": 0.5},
    "1": {"noise_std": 1.0},
    "2": {"noise_std": 2.0},
    "dropout, rate 0.2": {"noise": "dropout", "noise_std": 0.5},
}


def accuracies(settings, n_seeds=8):
    """Test accuracy of each seed, without noise and with one noisy pass."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, test_size=0.25, stratify=y, random_state=0
    )
    model = NoisyMLPClassifier(
        (64, 32),
        "tanh",
        alpha=0,
        batch_size=64,
        max_iter=100,
        n_iter_no_change=np.inf,
        **settings,
    )
    models = fit_seeds(model, X_train, y_train, random_states=n_seeds)
    clean = [each.score(X_test, y_test) for each in models]
    passes = [each.sample_proba(X_test, n_draws=20, random_state=0) for each in models]
    noisy = [(p.argmax(axis=2) == y_test[:, None]).mean() for p in passes]
    return np.array(clean), np.array(noisy)


def main():
    print("| noise_std | test accuracy, % | accuracy of one noisy pass, % |")
    print("|---|---|---|")
    for name, settings in SETTINGS.items():
        clean, noisy = (100 * each for each in accuracies(settings))
        print(
            f"| {name} | {clean.mean():.1f} ± {clean.std(ddof=1):.1f} "
            f"| {noisy.mean():.1f} ± {noisy.std(ddof=1):.1f} |"
        )


if __name__ == "__main__":
    main()
