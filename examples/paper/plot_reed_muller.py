"""
Codewords through noise
=======================

All words of a Reed-Muller code RM(m, m) are the corners of a cube in 2^m dimensions.
Sent through Gaussian noise, each coordinate tells of its own bit alone, so the truth
is known: 2^m times that of one bit. The estimator does not know that, and meets it.
In 16 dimensions it sees only some of the 65536 words and takes them for all. How far
that is from the truth depends on how many words the noise can confuse.
"""

# %%
# Cubes of 4 and 8 dimensions, every word given. The bars say what Monte Carlo leaves.

import warnings

import matplotlib.pyplot as plt
import numpy as np

from skib import GaussianMixtureMIEstimator
from skib.datasets import make_reed_muller
from skib.exceptions import SkibWarning
from skib.mutual_info import product_mutual_info

warnings.simplefilter("ignore", SkibWarning)  # with little noise, H(X) is the answer
noises = np.array([0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0])
fine = np.geomspace(0.2, 4, 80)


def truth(m, noise_std):
    """Return the information of the whole cube, coordinate by coordinate."""
    return product_mutual_info([[-1.0, 1.0]] * 2**m, noise_std)


def estimates(words):
    """Return I(X;T) and its standard error at every noise."""
    fits = [
        GaussianMixtureMIEstimator(noise_std, random_state=seed).fit(words)
        for seed, noise_std in enumerate(noises)
    ]
    return np.array([(fit.mutual_info_, fit.mutual_info_std_error_) for fit in fits])


whole = {m: estimates(make_reed_muller(m, m)) for m in (2, 3)}
for m, found in whole.items():
    print(f"RM({m},{m}), {2**m} dimensions, all {2**2**m} words")
    print("noise  truth    estimate")
    for noise_std, (value, error) in zip(noises, found, strict=True):
        print(f"{noise_std:5} {truth(m, noise_std):6.3f}  {value:6.3f} +- {error:.3f}")

# %%
# Random words of RM(4, 4). Of n words an estimate cannot exceed ln n, which is what the
# flat ends are: there the noise confuses none of the words that were drawn. Its error
# bars are small since it is nearly exact for the words given, not for all of the code.

words = make_reed_muller(4, 4)
rng = np.random.RandomState(0)
sizes = (256, 1024, 4096)
drawn = {n: estimates(words[rng.choice(len(words), n, replace=False)]) for n in sizes}
print("RM(4,4), 16 dimensions, n of 65536 words")
print("noise  truth " + "".join(f"{f'n = {n}':>10}" for n in sizes))
for row, noise_std in enumerate(noises):
    values = "".join(f"{drawn[n][row, 0]:10.3f}" for n in sizes)
    print(f"{noise_std:5} {truth(4, noise_std):6.3f} {values}")

# %%
# The truth is drawn as lines, estimates as marks with two standard errors, which with
# all words are as small as the marks.

figure, (top, bottom) = plt.subplots(
    2, figsize=(5.5, 6.5), sharex=True, layout="constrained"
)
marks = {"capsize": 3, "ms": 5, "lw": 1}
for (m, found), color, marker in zip(whole.items(), ("C0", "C1"), "os", strict=True):
    label = "truth" if m == 2 else None
    top.plot(fine, [truth(m, noise) for noise in fine], "k", lw=1, label=label)
    top.errorbar(
        *(noises, found[:, 0], 2 * found[:, 1]),
        color=color,
        marker=marker,
        ls="",
        label=f"RM({m},{m}), all words",
        **marks,
    )
bottom.plot(fine, [truth(4, noise_std) for noise_std in fine], "k", lw=1, label="truth")
styles = zip(("C0", "C1", "C2"), "vs^", strict=True)
for (n, found), (color, marker) in zip(drawn.items(), styles, strict=True):
    bottom.errorbar(
        *(noises, found[:, 0], 2 * found[:, 1]),
        color=color,
        marker=marker,
        ls=":",
        label=f"RM(4,4), {n} words",
        **marks,
    )
for ax in (top, bottom):
    ax.set(ylabel="I(X;T) [nats]", ylim=(0, None))
    ax.legend(frameon=False)
bottom.set(xscale="log", xlabel="noise, standard deviation")
ticks = [0.2, 0.5, 1, 2, 4]
bottom.set_xticks(ticks, [str(tick) for tick in ticks])
bottom.set_xticks([], minor=True)
plt.show()
