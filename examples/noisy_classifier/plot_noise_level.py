"""
How much noise should a network have?
=====================================

The noise of a network is a parameter like any other: a grid search over it shows at
which level the accuracy is best, and what the last hidden layer still knows about
its input there. On the digits, accuracy stays level up to a noise of about a tenth
of the range of the activations, while the information falls from the start: most of
what the quiet layer carries is not about the label.
"""

# %%
# A classifier with two noisy layers, in a pipeline as any other classifier.
# ``n_iter_no_change=np.inf`` trains for exactly ``max_iter`` epochs.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skib.mutual_info import GaussianMixtureMIEstimator
from skib.neural_network import NoisyMLPClassifier

X, y = load_digits(return_X_y=True)
classifier = NoisyMLPClassifier(
    (24, 6),
    "tanh",
    learning_rate_init=0.005,
    batch_size=64,
    max_iter=30,
    n_iter_no_change=np.inf,
    random_state=0,
)
pipeline = make_pipeline(MinMaxScaler(), classifier)

# %%
# A scorer is a function of the fitted pipeline and held-out data. This one takes the
# activations of the last hidden layer over noisy passes and estimates I(X;T), where
# the input is uniform over the held-out images.


def information(fitted, X, y):
    """Estimate I(X;T) of the last hidden layer, in nats."""
    scaler, network = fitted[0], fitted[-1]
    activations = network.activations(
        scaler.transform(X), layer=-1, n_draws=16, random_state=0
    )
    estimator = GaussianMixtureMIEstimator(network.noise_std, n_mc=4, random_state=0)
    return estimator.fit(activations).mutual_info_


# %%
# Both scores at every noise level, on three folds.

noise_levels = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6]
search = GridSearchCV(
    pipeline,
    {"noisymlpclassifier__noise_std": noise_levels},
    scoring={"accuracy": "accuracy", "information": information},
    refit="accuracy",
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
).fit(X, y)

print("noise_std  accuracy         I(X;T), nats")
results = search.cv_results_
for at, noise_std in enumerate(noise_levels):
    print(
        f"{noise_std:9}  "
        f"{results['mean_test_accuracy'][at]:.3f} ± "
        f"{results['std_test_accuracy'][at]:.3f}    "
        f"{results['mean_test_information'][at]:.2f} ± "
        f"{results['std_test_information'][at]:.2f}"
    )

# %%
# Bars are standard deviations over folds. The upper limit of I(X;T) is the entropy
# of the held-out images; telling ten classes apart takes the lower line.

figure, (top, bottom) = plt.subplots(2, sharex=True, layout="constrained")
best = search.best_params_["noisymlpclassifier__noise_std"]
for ax, name, color in [(top, "accuracy", "C0"), (bottom, "information", "C1")]:
    mean, spread = (results[f"{kind}_test_{name}"] for kind in ("mean", "std"))
    ax.errorbar(noise_levels, mean, spread, marker="o", capsize=3, color=color)
    ax.axvline(best, color="0.7", zorder=0)
bottom.axhline(np.log(len(X) / 3), color="0.5", ls="--", label="H(X), held out")
bottom.axhline(np.log(10), color="0.5", ls=":", label="ln 10, ten classes")
bottom.legend()
top.set(ylabel="accuracy, held out", title=f"Best accuracy at noise_std = {best}")
bottom.set(xscale="log", xlabel="noise_std", ylabel="I(X;T), nats", ylim=(0, None))
plt.show()
