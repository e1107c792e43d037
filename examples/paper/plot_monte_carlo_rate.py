"""
How fast is the sampling?
=========================

The entropy of a mixture of Gaussians is a mean over noise samples, and its error falls
as one over the root of their number: slope -1/2 at any noise and dimension. The
mean squared error of n centres, each visited n_mc times, is at most d / (n n_mc). The
package samples by how much centres are confused in place of the entropy as a whole, and
needs none at all where the noise confuses nothing.
"""

# %%
# Centres are points of the corner mixture: Gaussians at the corners of a cube, cut off
# at its faces. The plain average is that of -ln g over noisy centres, with g their
# mixture; the first n_mc samples of a long run are a run of n_mc.

import itertools
import math
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import logsumexp

from skib import GaussianMixtureMIEstimator
from skib.datasets import make_corner_mixture
from skib.exceptions import SkibWarning

warnings.simplefilter("ignore", SkibWarning)  # with little noise, H(X) is the answer
n_centers = 200
n_mcs = np.array([2, 4, 8, 16, 32])
settings = list(itertools.product((5, 10, 15), (0.1, 0.5)))
centers = {d: make_corner_mixture(n_centers, d, random_state=0) for d in (5, 10, 15)}


def root_mean_square(deviations):
    """Return the root of the mean square over repeats, which come last."""
    return np.sqrt(np.mean(np.square(deviations), axis=-1))


def plain_averages(centers, noise_std, rng):
    """Return plain estimates of h(T) with the first n_mcs samples of a run."""
    n, d = centers.shape
    log_scale = -d / 2 * math.log(2 * math.pi * noise_std**2) - math.log(n)
    sums = 0.0
    running = []
    for _ in range(n_mcs[-1]):
        noisy = centers + noise_std * rng.standard_normal(centers.shape)
        squares = (noisy**2).sum(1)[:, None] + (centers**2).sum(1)
        squares -= 2 * noisy @ centers.T
        sums -= np.mean(logsumexp(-squares / (2 * noise_std**2), axis=1) + log_scale)
        running.append(sums)
    return np.array(running)[n_mcs - 1] / n_mcs


rng = np.random.RandomState(0)
plain = {}
for d, noise_std in settings:
    runs = [plain_averages(centers[d], noise_std, rng) for _ in range(30)]
    long = np.mean(runs, axis=0)[-1]  # 30 times as long as the longest run
    plain[d, noise_std] = root_mean_square(np.transpose(runs) - long)

# %%
# The same by the estimator, each fit with fresh noise. From this few repeats a slope is
# known to about a tenth.


def fit(d, noise_std, n_mc, seed):
    """Return h(T) and its standard error."""
    estimator = GaussianMixtureMIEstimator(noise_std, n_mc=int(n_mc), random_state=seed)
    estimator.fit(centers[d])
    return estimator.entropy_, estimator.entropy_std_error_


ours, reported = {}, {}
for key in settings:
    long, _ = fit(*key, 3000, 0)
    fits = np.array([[fit(*key, n, 1 + seed) for seed in range(15)] for n in n_mcs])
    ours[key] = root_mean_square(fits[..., 0] - long)
    reported[key] = root_mean_square(fits[..., 1])

for name, found in {"plain average": plain, "the estimator": ours}.items():
    print(f"RMSE of h(T) in nats, {n_centers} centres, {name}")
    print("  d noise  " + "".join(f"{f'n_mc={n}':>9}" for n in n_mcs) + "  slope")
    for (d, noise_std), values in found.items():
        slope = np.polyfit(np.log(n_mcs), np.log(values), 1)[0]
        slope = f"{slope:7.2f}" if values.min() > 1e-3 else "      -"
        row = "".join(f"{value:9.4f}" for value in values)
        print(f"{d:3} {noise_std:5}  {row}{slope}")
counted = [key for key in settings if ours[key].min() > 1e-3]
ratio = np.concatenate([ours[key] / reported[key] for key in counted])
print(f"RMSE over the error that fits report: {ratio.min():.2f} to {ratio.max():.2f}")

# %%
# The dashed line has slope -1/2, grey lines are the bounds. Settings that are missing
# below have errors of less than 1e-3 nats: so far apart are centres in 10 dimensions.

figure, axes = plt.subplots(2, figsize=(5.5, 7), sharex=True, layout="constrained")
styles = {5: ("C0", "o"), 10: ("C1", "s"), 15: ("C2", "^")}
for ax, found, title in zip(
    axes, (plain, ours), ("plain average", "the estimator"), strict=True
):
    for (d, noise_std), values in found.items():
        if values.max() < 1e-3:
            continue
        color, marker = styles[d]
        ax.plot(
            *(n_mcs, values),
            color=color,
            marker=marker,
            fillstyle="full" if noise_std == 0.1 else "none",
            ls="",
            label=f"d = {d}, noise {noise_std}",
        )
    for d in styles:
        bound = np.sqrt(d / (n_centers * n_mcs))
        ax.plot(n_mcs, bound, color="0.6", lw=1, label="bounds" if d == 5 else None)
    guide = 0.03 * np.sqrt(n_mcs[0] / n_mcs)
    ax.plot(n_mcs, guide, "k--", lw=1, label="slope -1/2")
    ax.set(xscale="log", yscale="log", ylim=(2e-4, 0.3), title=title)
    ax.set_ylabel("RMSE of h(T) [nats]")
    ax.legend(frameon=False, fontsize="small", ncols=2, loc="lower left")
axes[1].set_xlabel(f"noise samples n_mc at each of {n_centers} centres")
axes[1].set_xticks(n_mcs, n_mcs)
axes[1].set_xticks([], minor=True)
plt.show()
