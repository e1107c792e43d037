"""
How many draws does an estimate need?
=====================================

Behind the first layer the density of T given an input is known only by draws, and too
few of them make the plug-in estimate of I(X;T) too high. The estimator brackets the
truth. While draws are few against the width of the clouds it takes the middle, with an
error as wide as the bracket leaves it. With enough draws, here 32, it extrapolates the
bias away, as far as they tell: about three quarters of it with 32, nearly all with 128.
The truth is known since the network is linear.
"""

# %%
# A noisy network of two linear layers, two units each. The clouds that the noise of
# the first layer makes of each input are up to three times as wide as the noise of
# the second.

import matplotlib.pyplot as plt
import numpy as np

from skib.mutual_info import GaussianMixtureMIEstimator, awgn_mutual_info

noise_std = 0.2
rng = np.random.RandomState(0)
first_layer = rng.randn(100, 2)
coefs = np.array([[2.5, 0.5], [-1.0, 1.5]])


def second_layer(n_draws):
    """Draw activations: noise is added to the first layer, then weights act."""
    noise = noise_std * rng.randn(100, n_draws, 2)
    return (first_layer[:, None] + noise) @ coefs


# %%
# Given the input, T is Gaussian with covariance noise_std^2 (W'W + 1). Whitened, the
# layer is a plain channel, whose information is a matter of quadrature.

whiten = np.linalg.inv(np.linalg.cholesky(coefs.T @ coefs + np.eye(2))).T
truth = awgn_mutual_info(first_layer @ coefs @ whiten, noise_std)

# %%
# Estimates from more and more draws, each repeated with fresh ones.

draws = np.array([8, 16, 32, 64, 128, 256])
names = ["mutual_info", "mutual_info_low", "mutual_info_high", "mutual_info_std_error"]
results = {name: np.empty((len(draws), 10)) for name in names}
for row, n_draws in enumerate(draws):
    for repeat in range(10):
        estimator = GaussianMixtureMIEstimator(noise_std, n_mc=16, random_state=repeat)
        estimator.fit(second_layer(n_draws))
        for name in names:
            results[name][row, repeat] = getattr(estimator, f"{name}_")
mean = {name: values.mean(1) for name, values in results.items()}

print(f"truth {truth:.3f} nats")
print("draws  low     corrected        plug-in (high)")
for row, n_draws in enumerate(draws):
    print(
        f"{n_draws:5}  {mean['mutual_info_low'][row]:.3f}"
        f"   {mean['mutual_info'][row]:.3f} ± {mean['mutual_info_std_error'][row]:.3f}"
        f"    {mean['mutual_info_high'][row]:.3f}"
    )

# %%
# Lines are means over the repeats, bars two standard errors as one fit reports them.

figure, ax = plt.subplots(layout="constrained")
ax.axhline(truth, color="k", lw=1, label=f"truth, {truth:.3f}")
low, high = mean["mutual_info_low"], mean["mutual_info_high"]
ax.fill_between(draws, low, high, color="C0", alpha=0.15, lw=0, label="bracket")
ax.plot(draws, high, color="C3", marker="s", ms=4, label="plug-in, upper end")
ax.plot(draws, low, color="C0", marker="v", ms=4, label="decoder, lower end")
jitter = 2 ** np.linspace(-0.12, 0.12, 10)
places = np.outer(draws, jitter).ravel()
single = results["mutual_info"].ravel()
ax.plot(places, single, ".", color="0.6", ms=3, label="single estimates")
ax.errorbar(
    *(draws, mean["mutual_info"], 2 * mean["mutual_info_std_error"]),
    color="C2",
    marker="o",
    ms=5,
    capsize=3,
    label="mutual_info_, ± 2 standard errors",
)
ax.set_xscale("log", base=2)
ax.set_xticks(draws, draws)
ax.set(xlabel="draws per input", ylabel="I(X;T), nats")
ax.legend()
plt.show()
