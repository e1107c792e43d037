"""
Does it help to know the noise?
===============================

Samples S come from Gaussians at the corners of a cube, and noise is added to them: what
is the entropy of S + Z? The plug-in takes the known noise as the kernel. Nearest
neighbours and kernel densities see noisy samples alone. With wide noise the knowledge
pays: the plug-in varies least and comes to the truth soonest. With narrow noise in five
or more dimensions thousands of samples do not fill the space: the plug-in, which takes
them for all there is, lies nats below the truth, and its rivals are nearer.
"""

# %%
# The truth comes by quadrature of one coordinate, since coordinates are independent.

import itertools
import warnings

import matplotlib.pyplot as plt
import numpy as np

from skib import GaussianMixtureMIEstimator
from skib.datasets import corner_mixture_entropy, make_corner_mixture
from skib.exceptions import SkibWarning
from skib.mutual_info import KernelDensityMIEstimator, NearestNeighborMIEstimator

warnings.simplefilter("ignore", SkibWarning)  # I(S;S+Z) has nothing to say here
sizes = np.array([125, 250, 500, 1000, 2000, 4000])
n_repeats = 5


def estimators(noise_std, n, seed):
    """Return the plug-in and its rivals, each with n noisy samples or centres."""
    rival = {"noise_std": noise_std, "n_samples": n, "random_state": seed}
    return {
        "plug-in": GaussianMixtureMIEstimator(noise_std, random_state=seed),
        "nearest neighbours": NearestNeighborMIEstimator(**rival),
        "kernel density": KernelDensityMIEstimator(**rival),
    }


settings = list(itertools.product((2, 5, 10), (0.1, 0.5)))
found = {}
for d, noise_std in settings:
    values = np.empty((3, len(sizes), n_repeats))
    for column, repeat in itertools.product(range(len(sizes)), range(n_repeats)):
        n = int(sizes[column])
        seed = 1000 * repeat + n
        samples = make_corner_mixture(n, d, random_state=seed)
        for row, estimator in enumerate(estimators(noise_std, n, seed).values()):
            values[row, column, repeat] = estimator.fit(samples).entropy_
    found[d, noise_std] = values

names = list(estimators(0.1, 125, 0))
print("mean error of h(S+Z) in nats, and its standard deviation over repeats")
print("  d noise     n  truth" + "".join(f"{name:>20}" for name in names))
for (d, noise_std), values in found.items():
    truth = corner_mixture_entropy(d, noise_std=noise_std)
    for column in (0, 3, 5):
        cells = "".join(
            f"{row.mean() - truth:13.3f} ± {row.std():.2f}" for row in values[:, column]
        )
        print(f"{d:3} {noise_std:5} {sizes[column]:5} {truth:6.3f}{cells}")

# %%
# Bars are two standard deviations over the repeats. The bias of the plug-in is always
# down and shrinks with every sample. That of the others has no sign: in ten dimensions
# with narrow noise the kernel density starts at the truth, and leaves it. The paper
# reports the plug-in as the fastest here with up to ten million samples; that many were
# not tried, and up to 4000 it is not.

figure, axes = plt.subplots(3, 2, figsize=(6.5, 7.5), sharex=True, layout="constrained")
styles = [("C0", "o", "-"), ("C1", "s", "--"), ("C2", "^", ":")]
for (d, noise_std), ax in zip(settings, axes.flat, strict=True):
    truth = corner_mixture_entropy(d, noise_std=noise_std)
    ax.axhline(truth, color="k", lw=1, label="truth")
    rows = zip(names, styles, found[d, noise_std], strict=True)
    for shift, (name, (color, marker, style), values) in zip(
        (0.95, 1.0, 1.05), rows, strict=True
    ):
        ax.errorbar(
            *(shift * sizes, values.mean(1), 2 * values.std(1)),
            color=color,
            marker=marker,
            ls=style,
            ms=4,
            capsize=2,
            label=name,
        )
    ax.set(xscale="log", title=f"d = {d}, noise {noise_std}")
for ax in axes[:, 0]:
    ax.set_ylabel("h(S+Z) [nats]")
for ax in axes[-1]:
    ax.set_xlabel("samples n")
figure.legend(
    *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4
)
plt.show()
