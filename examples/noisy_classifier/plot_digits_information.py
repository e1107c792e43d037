"""
A digits classifier while it learns: tanh and ReLU
==================================================

Layers of 64, 32 and 10 units are too wide for averages of kernels, and narrow enough
that people have them. A decoder below and a chain of noises above say how much each
layer of a noisy classifier knows of its input, with the bracket drawn around the value.
"""

# %%
# Two classifiers of 600 digits, noise of 0.2 after every hidden layer, seen at four
# epochs.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skib import NoisyMLPClassifier, information_flow

X, y = load_digits(return_X_y=True)
X = X / 16
flows = {}
for activation in ("tanh", "relu"):
    classifier = NoisyMLPClassifier(
        (64, 32, 10),
        activation,
        noise_std=0.2,
        max_iter=64,
        n_iter_no_change=np.inf,
        record_epochs=[1, 4, 16, 64],
        random_state=0,
    ).fit(X[600:], y[600:])
    accuracy = classifier.score(X[:600], y[:600])
    print(
        f"{activation}: {accuracy:.3f} of the 600 that it did not learn from are right"
    )
    flows[activation] = information_flow(
        classifier.recording_, X[:600], y[:600], random_state=0, n_jobs=2
    )

# %%
# What is left open: the widest bracket, in nats, and its layer.

for activation, flow in flows.items():
    table = flow.to_frame()
    width = table["mutual_info_high"] - table["mutual_info_low"]
    widest = table.loc[width.idxmax()]
    print(
        f"{activation}: at most {width.max():.3f} nats (layer {widest['layer']}, epoch "
        f"{widest['epoch']}); standard errors at most "
        f"{table['mutual_info_std_error'].max():.3f}"
    )

# %%
# The dashed line is H(X), all there is to know. Learning spreads the inputs of the tanh
# network apart, and those of the ReLU network, whose units have no ceiling, much more:
# the same noise hides less and less of them.

figure, axes = plt.subplots(2, 2, figsize=(9, 6.5), layout="constrained", sharex=True)
for (activation, flow), column in zip(flows.items(), axes.T, strict=True):
    flow.plot(column[0])
    flow.plot(column[1], target="label")
    column[0].set_title(activation)
    column[1].get_legend().remove()
plt.show()
