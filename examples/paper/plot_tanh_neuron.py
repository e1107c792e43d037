"""
One neuron forgets
==================

A tanh neuron with noise is a channel that sends four signals, its outputs for the four
inputs. Training moves them. At first they part, and the neuron knows which input it
saw, ln 4 nats. Then the three inputs of one label slide into one end of the tanh: two
of them merge, 1.040 nats, then all three, .562 nats. With more noise this is sooner. In
the places of the signals themselves nothing sudden happens.
"""

# %%
# The loss is the mean squared error of the noisy output. Its mean over the noise is
# that of the output without noise, plus a constant: so the neuron learns the same
# weights with any noise, by plain gradient descent from zero.

import matplotlib.pyplot as plt
import numpy as np

from skib.datasets import make_single_neuron
from skib.mutual_info import awgn_mutual_info

X, y = make_single_neuron()
n_epochs, learning_rate = 20_000, 0.01
weights = np.zeros((n_epochs + 1, 2))
inputs = np.hstack([X, np.ones_like(X)])
for epoch in range(n_epochs):
    output = np.tanh(inputs @ weights[epoch])
    slope = 2 * (output - y) * (1 - output**2) / len(X)
    weights[epoch + 1] = weights[epoch] - learning_rate * slope @ inputs
signals = np.tanh(weights @ inputs.T)
for epoch in (250, 2500, 20_000):
    w, b = weights[epoch]
    print(f"epoch {epoch:5}: w = {w:.3f}, b = {b:.3f}")

# %%
# I(X;T) by quadrature, at the epochs of the table and at others between them.

noises = (0.01, 0.05, 0.1, 0.2)
table_epochs = np.array([1, 5, 20, 100, 250, 500, 1000, 2500, 5000, 10_000, 20_000])
between = np.geomspace(1, n_epochs, 60).round().astype(int)
epochs = np.union1d(table_epochs, between)
information = np.array(
    [
        [awgn_mutual_info(signals[epoch][:, None], noise) for noise in noises]
        for epoch in epochs
    ]
)
table = information[np.searchsorted(epochs, table_epochs)]
print("I(X;T) in nats")
print(" epoch" + "".join(f"  noise {noise:<4}" for noise in noises))
for epoch, row in zip(table_epochs, table, strict=True):
    print(f"{epoch:6}" + "".join(f"  {value:10.3f}" for value in row))

# %%
# Dotted lines are the plateaus: all four told apart, two merged, and all three of one
# label merged. Even with the widest noise the last one is not quite reached.

plateaus = {
    "4 signals": np.log(4),
    "3 signals": 1.5 * np.log(2),
    "2 signals": np.log(4) - 0.75 * np.log(3),
}
figure, (top, bottom) = plt.subplots(
    2, figsize=(5.5, 6), sharex=True, layout="constrained"
)
for value in plateaus.values():
    top.axhline(value, color="k", lw=1, ls=":")
right = top.secondary_yaxis("right")
right.set_yticks(list(plateaus.values()), list(plateaus))
styles = ("-", "--", "-.", (0, (1, 1)))
shades = plt.get_cmap("viridis")(np.linspace(0, 0.8, len(noises)))
for column, (style, shade) in enumerate(zip(styles, shades, strict=True)):
    label = f"noise {noises[column]}"
    top.plot(epochs, information[:, column], ls=style, color=shade, lw=2, label=label)
top.set(ylabel="I(X;T) [nats]", ylim=(0, 1.5))
top.legend(frameon=False, loc="lower right")
for column, (x, label) in enumerate(zip(X[:, 0], y, strict=True)):
    color, style = ("C0", "-") if label < 0 else ("C1", "--")
    places = signals[epochs, column]
    bottom.plot(epochs, places, color=color, ls=style, lw=2)
    middle = np.searchsorted(epochs, 25)
    side = (-4, -4, "right", "top") if x == -3 else (3, 5, "left", "baseline")
    bottom.annotate(
        *(f"x = {x:.0f}", (epochs[middle], places[middle]), side[:2]),
        textcoords="offset points",
        ha=side[2],
        va=side[3],
    )
bottom.set(xscale="log", xlabel="epoch", ylabel="output tanh(wx + b)")
plt.show()
