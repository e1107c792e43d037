"""
Forgetting without saturation
=============================

Does information fall only because tanh saturates? Two leaky ReLU neurons in series say
no: nothing about them is bounded. Eight inputs are told apart by the first neuron, ln 8
nats. Then training turns the weight until the inputs of one label lie on the flat arm,
where signals are ten times closer and the noise confuses them. What draws signals
together is the slope, and a bound is only one way to have a small one.
"""

# %%
# Gradient descent on the squared error, its mean over the noise of the first neuron
# taken by Gauss-Hermite quadrature. The learning rate is divided by 20 once 99% of the
# outputs without noise, that is all eight, are on the right side of 1/8.

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from skib import information_flow
from skib.datasets import make_leaky_relu_pair
from skib.recording import TorchRecorder

X, y = make_leaky_relu_pair()
target = y[:, None]
noise_std, n_epochs, learning_rate = 0.05, 100_000, 1e-3
nodes, node_weights = np.polynomial.hermite_e.hermegauss(40)
node_weights = node_weights / node_weights.sum()


def leaky(z):
    """Return the activation and its slope."""
    slope = np.where(z > 0, 1.0, 0.1)
    return slope * z, slope


weights = np.empty((n_epochs + 1, 4))
weights[0] = 0.0, 4.5, -1.0, 0.0
slow_from = None
for epoch in range(n_epochs):
    w1, b1, w2, b2 = weights[epoch]
    signal, slope1 = leaky(w1 * X + b1)
    noisy = signal + noise_std * nodes
    output, slope2 = leaky(w2 * noisy + b2)
    error = 2 * (output - target) * slope2 * node_weights / len(X)
    below = error * w2 * slope1
    gradient = [(below * X).sum(), below.sum(), (error * noisy).sum(), error.sum()]
    if slow_from is None:
        without_noise, _ = leaky(w2 * signal + b2)
        right = (without_noise > 1 / 8) == (target > 1 / 8)
        if right.mean() >= 0.99:
            slow_from, learning_rate = epoch, learning_rate / 20
    weights[epoch + 1] = weights[epoch] - learning_rate * np.array(gradient)
print(f"all are right from epoch {slow_from} on")

# %%
# The weights go into a torch module, which a recorder keeps, and the information of
# both neurons comes from there.

table_epochs = np.array([500, 2000, 5000, 10_000, 20_000, 100_000])
between = np.geomspace(10, n_epochs, 40).round().astype(int)
falling = np.arange(2000, 9000, 250)
net = nn.Sequential(
    *(nn.Linear(1, 1), nn.LeakyReLU(0.1)), *(nn.Linear(1, 1), nn.LeakyReLU(0.1))
).double()
recorder = TorchRecorder(net, ["1", "3"], noise_std=noise_std)
for epoch in np.unique([*table_epochs, *between, *falling]):
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), weights[epoch], strict=True):
            parameter.fill_(value)
    recorder.record(epoch)
flow = information_flow(recorder, torch.tensor(X), random_state=0)
print("I(X;T) in nats, +- one standard error")
print(" epoch  first neuron     second neuron")
for epoch in table_epochs:
    row = np.searchsorted(flow.epochs, epoch)
    cells = zip(flow.mutual_info[row], flow.mutual_info_std_error[row], strict=True)
    print(f"{epoch:6}" + "".join(f"  {i:6.3f} +- {se:.3f}" for i, se in cells))

# %%
# While the rate is still high, the first neuron falls from ln 8 to 1.83 nats, and ends
# at 1.76. The second knows most, .98 nats, at epoch 10000, and then forgets too.

figure, (top, bottom) = plt.subplots(
    2, figsize=(5.5, 6), sharex=True, layout="constrained"
)
top.axhline(np.log(8), color="k", lw=1, ls=":")
top.annotate("ln 8", (10, np.log(8)), (0, 2), textcoords="offset points")
names, styles = ("first neuron", "second neuron"), ("C0-", "C1--")
for column, (name, style) in enumerate(zip(names, styles, strict=True)):
    value, error = flow.mutual_info[:, column], flow.mutual_info_std_error[:, column]
    top.plot(flow.epochs, value, style, lw=2, label=name)
    color = style[:2]
    top.fill_between(
        flow.epochs, value - 2 * error, value + 2 * error, color=color, alpha=0.3, lw=0
    )
top.set(ylabel="I(X;T) [nats]", ylim=(0, 2.3))
top.legend(frameon=False, loc="lower right")
signals, _ = leaky(weights[flow.epochs, :1] * X.T + weights[flow.epochs, 1:2])
bottom.axhspan(-0.6, 0, color="0.9", lw=0)
bottom.annotate("flat arm", (12, -0.3), va="center", color="0.3")
bottom.annotate("y = 0", (30_000, 3.6))
bottom.annotate("y = 1/4", (30_000, 0.2))
bottom.plot(flow.epochs, signals[:, y == 0], "C0-", lw=1.5)
bottom.plot(flow.epochs, signals[:, y > 0], "C1--", lw=1.5)
bottom.set(xscale="log", xlabel="epoch", ylabel="output of the first neuron")
bottom.set_ylim(-0.6, None)
for ax in (top, bottom):
    ax.axvline(slow_from, color="0.6", lw=1, zorder=0)
bottom.annotate("slower", (slow_from, 4.3), (3, 0), textcoords="offset points")
plt.show()
