"""
What do bins measure in a network without noise?
================================================

Not information. Without noise the tanh network on the data of Shwartz-Ziv and Tishby
keeps all 4096 inputs apart, so that I(X;T) is H(X) = ln 4096 whatever it learns. The
entropy H(Bin(T)) of binned activations moves while bins are wide, and climbs to that
constant as they shrink. At a width of ten standard deviations of a noise it does say
something: it has the peaks and troughs of I(X;T) in the last layer of the network that
is trained with this noise, since both see how inputs cluster.
"""

# %%
# The same network twice, from the same seed: without noise, and with it.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import train_test_split

from skib import (
    BinnedMIEstimator,
    NetworkMIEstimator,
    NoisyMLPClassifier,
    information_flow,
    make_szt,
)

SEED, NOISE_STD = 1, 0.005
X, y = make_szt()
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=3277, random_state=SEED
)
noisy = NoisyMLPClassifier(
    hidden_layer_sizes=(10, 7, 5, 4, 3),
    activation="tanh",
    noise_std=NOISE_STD,
    alpha=0.0,
    batch_size=256,
    learning_rate_init=4e-4,
    max_iter=400,
    n_iter_no_change=np.inf,
    record_epochs=16,
    random_state=SEED,
)
deterministic = clone(noisy).set_params(noise_std=0.0)
for name, network in {"noisy": noisy, "deterministic": deterministic}.items():
    network.fit(X_train, y_train)
    print(f"test accuracy, {name}: {network.score(X_test, y_test):.3f}")

# %%
# H(Bin(T)) of the deterministic network in four widths. The narrowest of them comes to
# ln 4096 in all layers but the last, which clusters most: there it takes bins a hundred
# times narrower still.

widths = (0.1, 0.01, 0.001, 0.0001)
binned = [
    information_flow(deterministic, X, estimator=BinnedMIEstimator(bin_width=width))
    for width in widths
]
ceiling = np.log(len(X))
print(f"H(Bin(T)) in nats, means over epochs; ln 4096 = {ceiling:.3f}")
print("  width" + "".join(f"{f'layer {layer}':>9}" for layer in binned[0].layers))
for width, flow in zip(widths, binned, strict=True):
    row = "".join(f"{value:9.3f}" for value in flow.entropy.mean(axis=0))
    print(f"{width:7} {row}")
finest = information_flow(deterministic, X, estimator=BinnedMIEstimator(bin_width=1e-6))
for width, flow in ((widths[-1], binned[-1]), (1e-6, finest)):
    gap = np.abs(ceiling - flow.entropy).max(axis=0)
    print(f"width {width}: ln 4096 less H(Bin(T)), the largest over epochs")
    for layer, largest in zip(flow.layers, gap, strict=True):
        verdict = "within" if largest < 1e-3 else "not within"
        print(f"  layer {layer}: {largest:.5f}, {verdict} 1e-3")

# %%
# I(X;T) of the noisy network, and how H(Bin(T)) at ten noise standard deviations goes
# with it over the epochs. Where either hardly moves there is nothing to correlate with.
# Over all epochs the correlation is far from 1: while weights are small, signals share
# a few bins that are wider than the noise. Hence it is also given from epoch 20 on.

flow = information_flow(
    noisy, X, estimator=NetworkMIEstimator(n_mc=2), n_jobs=2, random_state=SEED
)
coarse = information_flow(
    noisy, X, estimator=BinnedMIEstimator(bin_width=10 * NOISE_STD)
)
late = flow.epochs >= 20
print(
    "noisy network: correlation over epochs of H(Bin(T)) with I(X;T), and their ranges"
)
for column, layer in enumerate(flow.layers):
    pair = np.stack([flow.mutual_info[:, column], coarse.entropy[:, column]])
    ranges = np.ptp(pair, axis=1)
    line = f"  layer {layer}: I {ranges[0]:.2f}, H(Bin) {ranges[1]:.2f} nats"
    if ranges.min() > 0.05:
        everywhere, later = (np.corrcoef(each)[0, 1] for each in (pair, pair[:, late]))
        line += f"; correlation {everywhere:.2f}, from epoch 20 on {later:.2f}"
    print(line)

# %%
# The last hidden layer. Dotted is ln 4096.

figure, (top, bottom) = plt.subplots(
    2, figsize=(5.5, 6.5), sharex=True, layout="constrained"
)
styles = ("-", "--", "-.", (0, (1, 1)))
shades = plt.get_cmap("viridis")(np.linspace(0.8, 0, len(widths)))
for width, each, style, shade in zip(widths, binned, styles, shades, strict=True):
    label = f"width {width:g}"
    top.plot(each.epochs, each.entropy[:, -1], ls=style, color=shade, lw=2, label=label)
top.set(ylabel="H(Bin(T)) [nats]", title="layer 5, trained without noise")
value, error = flow.mutual_info[:, -1], 2 * flow.mutual_info_std_error[:, -1]
bottom.errorbar(flow.epochs, value, error, color="C0", capsize=2, label="I(X;T)")
bottom.plot(
    *(coarse.epochs, coarse.entropy[:, -1]),
    *("C1s--",),
    ms=4,
    label="H(Bin(T)), width 0.05",
)
bottom.set(ylabel="nats", title="layer 5, trained with noise 0.005")
bottom.set(xlabel="epoch", xscale="symlog")
for ax in (top, bottom):
    ax.axhline(ceiling, color="k", lw=1, ls=":")
    ax.set_ylim(0, 9)
    ax.legend(frameon=False, loc="lower right", fontsize="small")
plt.show()
