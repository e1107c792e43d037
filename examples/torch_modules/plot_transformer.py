"""
What the class token of a transformer learns
============================================

A small transformer encoder reads digits, row by row: eight tokens of eight pixels, and
a class token that starts out the same for all images. Before the first block it knows
nothing. Attention fetches from the rows what the scores will be asked for, and soon the
class token tells more of the image than the mean of all tokens does.
"""

# %%
# The module, and a training loop in which a recorder keeps the weights. Noise is at the
# layer that is looked at ("probe noise"), in units of the activations; ``reduce`` says
# which of a layer's nine tokens are measured.

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn

from skib.recording import TorchRecorder


class DigitReader(nn.Module):
    """Rows of an image to tokens, two blocks, and scores from the class token."""

    def __init__(self, width=24):
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(0.1 * torch.randn(1, 9, width))
        self.start = nn.Identity()
        block = {"dropout": 0.0, "batch_first": True, "norm_first": True}
        self.block1 = nn.TransformerEncoderLayer(width, 4, 2 * width, **block)
        self.block2 = nn.TransformerEncoderLayer(width, 4, 2 * width, **block)
        self.scores = nn.Linear(width, 10)

    def forward(self, rows):
        """Return scores of images of shape (n, 8, 8)."""
        tokens = torch.cat([self.token.expand(len(rows), -1, -1), self.embed(rows)], 1)
        tokens = self.start(tokens + self.places)
        return self.scores(self.block2(self.block1(tokens))[:, 0])


torch.manual_seed(0)
X, y = load_digits(return_X_y=True)
X = torch.tensor(X.reshape(-1, 8, 8) / 16, dtype=torch.float32)
y = torch.tensor(y)
X_train, X_test, y_train, y_test = X[400:], X[:400], y[400:], y[:400]

net = DigitReader()
layers = ["start", "block1", "block2"]
parts = {"class token": 0, "mean of all tokens": "mean"}
recorders = {
    name: TorchRecorder(net, layers, noise_std=0.5, noise="probe", reduce=part)
    for name, part in parts.items()
}
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(31):
    if epoch in (0, 1, 2, 4, 8, 16, 30):
        for recorder in recorders.values():
            recorder.record(epoch)
    for batch in torch.randperm(len(X_train)).split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(X_train[batch]), y_train[batch]).backward()
        optimizer.step()
with torch.no_grad():
    errors = int((net.eval()(X_test).argmax(1) != y_test).sum())
print(f"{errors} of the 400 test images are misread")

# %%
# Information about which of the 400 test images it is, and about the digit.

from skib import information_flow

flows = {
    name: information_flow(recorder, X_test, y_test, random_state=0)
    for name, recorder in recorders.items()
}
for name, flow in flows.items():
    print(name)
    columns = ["layer", "mutual_info", "mutual_info_std_error", "label_mutual_info"]
    last = flow.to_frame().query("epoch == 30")
    print(last[columns].round(3).to_string(index=False))

# %%
# Dashed lines are the most there is to know. The first block brings nearly all of
# the digit to the class token; behind the second, this noise hides hardly anything of
# the image either: nothing in learning to classify asked for that to be forgotten.

figure, axes = plt.subplots(2, 2, figsize=(9, 6.5), layout="constrained", sharex=True)
for (name, flow), column in zip(flows.items(), axes.T, strict=True):
    flow.plot(column[0])
    flow.plot(column[1], target="label")
    column[0].set_title(name)
    column[1].get_legend().remove()
plt.show()
