"""
What does a noisy look at a layer of a CNN tell?
================================================

A convolutional network learns to read digits, without any noise, in a training loop of
its own. A recorder keeps its weights. Afterwards each layer is looked at through
Gaussian noise at that layer alone ("probe noise"): the information about input and
label of such a look is exact up to Monte Carlo, however wide the layer. Training first
moves the classes apart in the early layers, then in the later ones.
"""

# %%
# An ordinary module and its data. Nothing here knows of skib.

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

torch.manual_seed(0)
X, y = load_digits(return_X_y=True)
X = torch.tensor(X.reshape(-1, 1, 8, 8) / 16, dtype=torch.float32)
y = torch.tensor(y)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=400, stratify=y, random_state=0
)

net = nn.Sequential()
net.add_module("conv1", nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Tanh()))
net.add_module("pool1", nn.MaxPool2d(2))
net.add_module("conv2", nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.Tanh()))
net.add_module("pool2", nn.MaxPool2d(2))
net.add_module("dense", nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh()))
net.add_module("scores", nn.Linear(32, 10))

# %%
# Two lines of the training loop are new: the recorder, and that it records. The noise
# is in units of the activations, the same at every layer.

from skib.recording import TorchRecorder

layers = ["conv1", "conv2", "dense", "scores"]
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
errors = {}
with TorchRecorder(net, layers, noise_std=1.0, noise="probe") as recorder:
    for epoch in range(41):
        if epoch in (0, 1, 2, 4, 8, 16, 40):
            recorder.record(epoch)
            with torch.no_grad():
                wrong = net(X_test).argmax(1) != y_test
            errors[epoch] = 100 * wrong.float().mean().item()
        for batch in torch.randperm(len(X_train)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(X_train[batch]), y_train[batch]).backward()
            optimizer.step()

# %%
# Information about which of the 400 test images it was, and about the digit.

from skib import information_flow

flow = information_flow(recorder, X_test, y_test, random_state=0)
last = flow.to_frame(unit="bits").query("epoch == 40")
columns = ["layer", "mutual_info", "label_mutual_info", "label_mutual_info_std_error"]
print(last[columns].round(3).to_string(index=False))

# %%
# Bands are two standard errors; dashed lines are the most there is to know. The "dense"
# layer ends up with nearly all of the label, and six tenths of what "conv1" tells of
# the image. Seen through the same noise, every layer tells more as its activations
# grow; the scores, which nothing bounds, grow most.

figure, axes = plt.subplots(3, 1, figsize=(6, 9), layout="constrained", sharex=True)
flow.plot(axes[0], unit="bits")
flow.plot(axes[1], unit="bits", target="label")
axes[1].get_legend().remove()
axes[2].plot(list(errors), list(errors.values()), ".-", color="0.2")
axes[2].set(xlabel="epoch", ylabel="test error [%]", xlim=(-0.1, 45), ylim=(0, None))
plt.show()
