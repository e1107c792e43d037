"""
Which networks compress, and is it good for them?
=================================================

Four networks learn the data of Shwartz-Ziv and Tishby, three seeds of each, with the
same noise. The tanh network compresses late in training, while its weights grow. The
one whose weights are kept close to orthonormal does not compress at all, and still
finds the right class of 96 % of the inputs that it has not seen: generalising does not
take compression. Neither the linear network nor the one of rectifiers compresses late.
Where information falls, the inputs of a class draw together.
"""

# %%
# Twelve trainings and their estimates take longer than an example should: the tables
# come with skib. ``python examples/paper/train_szt_variants.py`` makes them anew.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skib.inspection import CombinedFlow, PairwiseDistanceDisplay

TABLES = Path(__file__).parent / "szt_variants"
VARIANTS = {
    "tanh": "tanh",
    "orthonormal": "tanh, orthonormal weights",
    "linear": "linear",
    "relu": "ReLU",
}
flows = {
    name: CombinedFlow.load(TABLES / f"{name}_information.npz") for name in VARIANTS
}
scores = pd.read_csv(TABLES / "scores.csv")

# %%
# The last hidden layer: the most information it had after epoch 100, what it has in the
# end, and how well the network does on inputs it has not seen. Means and standard
# deviations over the seeds.
print("layer 5: highest I(X;T) after epoch 100, last I(X;T), test accuracy, test loss")
for name, title in VARIANTS.items():
    late = flows[name].values()[:, flows[name].epochs >= 100, -1]
    last = scores[(scores.variant == name) & (scores.epoch == scores.epoch.max())]
    figures = late.max(axis=1), late[:, -1], last.test_accuracy, last.test_loss
    cells = (f"{np.mean(each):6.3f} ± {np.std(each, ddof=1):.3f}" for each in figures)
    print(f"  {title:26}", *cells)

# %%
# Information above accuracy, one column per network.
figure, axes = plt.subplots(
    *(2, len(VARIANTS)),
    figsize=(14, 6),
    height_ratios=(2.2, 1),
    sharex=True,
    sharey="row",
    layout="constrained",
)
for (name, title), (top, bottom) in zip(VARIANTS.items(), axes.T, strict=True):
    flows[name].plot(top, legend=name == "relu")
    top.set_title(title)
    of_variant = scores[scores.variant == name]
    for part, style in (("train", "-"), ("test", "--")):
        by_epoch = of_variant.groupby("epoch")[f"{part}_accuracy"]
        mean, spread = by_epoch.mean(), by_epoch.std()
        bottom.plot(mean.index, mean, style, color="k", lw=1.2, label=part)
        bottom.fill_between(
            *(mean.index, mean - spread, mean + spread), color="0.6", alpha=0.5, lw=0
        )
    bottom.set(xlabel="epoch", ylabel="accuracy", ylim=(0.45, 1.01))
    for ax in (top, bottom):
        ax.label_outer()
axes[1, -1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

# %%
# Distances of pairs in the last hidden layer of one seed, as training goes on. Those
# within a class move to 0 where the information falls, and stay where it does not.
epochs = flows["tanh"].epochs
shown = epochs[np.abs(np.subtract.outer([20, 80, 300, 2000, 8000], epochs)).argmin(1)]
figure, axes = plt.subplots(1, 2, figsize=(9, 5), sharey=True, layout="constrained")
for name, ax in zip(("tanh", "orthonormal"), axes, strict=True):
    clustering = CombinedFlow.load(TABLES / f"{name}_clustering.npz").flows[0]
    information = dict(zip(epochs, flows[name].values()[0, :, -1], strict=True))
    PairwiseDistanceDisplay.from_flow(clustering, epochs=shown).plot(
        ax, name=VARIANTS[name], legend=name == "orthonormal"
    )
    for height, epoch in enumerate(shown[::-1]):
        text, at_right = f"I = {information[epoch]:.2f}", ax.get_yaxis_transform()
        box = {"color": "w", "alpha": 0.8, "pad": 1}
        ax.text(0.98, height + 0.7, text, ha="right", transform=at_right, bbox=box)
    ax.label_outer()
plt.show()
