"""
Do hidden layers forget their input while a network trains?
===========================================================

Yes, and the reason is clustering. The noisy tanh network 12-10-7-5-4-3-2 is trained on
the data set of Shwartz-Ziv and Tishby. The information I(X;T) of its late layers rises,
falls, rises and falls again, and each fall is a phase in which the representations of
the inputs draw together. The binned entropy of earlier work, which cannot be an
information of the noise-free network, sees the same clusters.
"""

# %%
# The data: all 4096 inputs are enumerated, so the law of X is known exactly, and
# H(X) = ln 4096.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skib import (
    BinnedMIEstimator,
    NoisyMLPClassifier,
    information_flow,
    make_szt,
)
from skib.inspection import RepresentationDisplay

SEED = 1
NOISE_STD = 0.005
N_EPOCHS = 8000
SCATTER_EPOCHS = (20, 80, 300, 8000)  # a peak, a trough, a peak, the end

X, y = make_szt()
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=3277, random_state=SEED
)

# %%
# Train it by the recipe of the paper: Adam, batches of 256, Gaussian noise after every
# hidden layer; the weights are recorded at log-spaced epochs.
network = NoisyMLPClassifier(
    hidden_layer_sizes=(10, 7, 5, 4, 3),
    activation="tanh",
    noise_std=NOISE_STD,
    alpha=0.0,
    batch_size=256,
    learning_rate_init=4e-4,
    max_iter=N_EPOCHS,
    n_iter_no_change=np.inf,
    record_epochs=28,
    random_state=SEED,
)
network.fit(X_train, y_train)
recording = network.recording_
print(f"test accuracy after {N_EPOCHS} epochs: {network.score(X_test, y_test):.3f}")

# %%
# Estimate I(X;T) and I(Y;T) of every layer at every recorded epoch, with standard
# errors, and the binned entropy at ten noise standard deviations.
flow = information_flow(recording, X, y, n_jobs=2, random_state=SEED, verbose=1)
binned = information_flow(
    recording, X, y, estimator=BinnedMIEstimator(bin_width=10 * NOISE_STD)
)

# %%
# The picture, as in the paper: information above clustering above loss, and the points
# of the last hidden layer, which has three units, at four epochs.


def losses(X, y):
    """Cross-entropy of the noise-free network at the recorded epochs."""
    return [log_loss(y, recording.predict_proba(X, epoch=e)) for e in recording.epochs]


def draw_curves(axes):
    """Information, binned entropy and loss against the epoch."""
    flow.plot(axes[0])
    binned.plot(axes[1], legend=False)
    axes[2].plot(recording.epochs, losses(X_train, y_train), label="train")
    axes[2].plot(recording.epochs, losses(X_test, y_test), "--", label="test")
    axes[2].set(xlabel="epoch", ylabel="cross-entropy [nats]")
    axes[2].legend(frameon=False, fontsize="small")
    for ax in axes:
        ax.label_outer()


figure = plt.figure(figsize=(12, 9.5), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=[1, 2.6])
clouds = top.subplots(1, 4, subplot_kw={"projection": "3d"})
curves = bottom.subplots(3, sharex=True, height_ratios=[2, 2, 1.2])
draw_curves(curves)
nearest = np.abs(np.subtract.outer(SCATTER_EPOCHS, recording.epochs)).argmin(1)
for letter, epoch, ax in zip("abcd", recording.epochs[nearest], clouds, strict=True):
    RepresentationDisplay.from_recording(
        recording, X, y, epoch=epoch, random_state=SEED
    ).plot(ax, name=f"{letter}) layer 5, epoch {epoch}", legend=letter == "d")
    for curve in curves:
        curve.axvline(epoch, color="0.8", lw=1, zorder=0)
    curves[0].annotate(
        letter, (epoch, 0), (2, 3), textcoords="offset points", color="0.4"
    )
results = Path("results")
results.mkdir(exist_ok=True)
figure.savefig(results / "szt_information_flow.png", dpi=150)

# %%
# The numbers behind it.
frame = flow.to_frame()
binned_entropy = binned.to_frame().set_index(["epoch", "layer"])["entropy"]
frame = frame.join(binned_entropy.rename("binned_entropy"), on=["epoch", "layer"])
frame.to_csv(results / "szt_information_flow.csv", index=False)
print("I(X;T) in nats, +- one standard error")
print("epoch " + "".join(f"{'layer ' + str(layer):>17}" for layer in flow.layers))
for row, epoch in enumerate(flow.epochs):
    cells = zip(flow.mutual_info[row], flow.mutual_info_std_error[row], strict=True)
    print(f"{epoch:5d} " + "".join(f"{i:9.3f} +- {se:.3f}" for i, se in cells))
print(f"picture: {results / 'szt_information_flow.png'}")
print(f"table:   {results / 'szt_information_flow.csv'}")
plt.show()
