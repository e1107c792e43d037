"""
What does a layer do when its information falls?
================================================

It draws the inputs of a class together. Three noisy networks, which differ in their
seed alone, learn to tell the arms of a spiral apart. In the last layer of each the
information about the input rises, then falls, and that is when distances within a class
fall behind those between classes and units saturate. The layers before only rise.
"""

# %%
# Three networks train side by side; the weights are recorded on the way.
import matplotlib.pyplot as plt
import numpy as np

from skib import NetworkMIEstimator, NoisyMLPClassifier, information_flow
from skib.datasets import make_spiral
from skib.inspection import (
    ActivationHistogramDisplay,
    PairwiseDistanceDisplay,
    clustering_flow,
    combine_flows,
)
from skib.neural_network import fit_seeds

X, y = make_spiral(300, random_state=0)
network = NoisyMLPClassifier(
    (10, 8, 3),
    "tanh",
    noise_std=0.1,
    learning_rate_init=0.01,
    max_iter=300,
    n_iter_no_change=np.inf,
    record_epochs=8,
)
networks = fit_seeds(network, X, y, random_states=3)
print("accuracy:", *(f"{each.score(X, y):.3f}" for each in networks))

# %%
# Information and clustering of every layer at every recorded epoch, as one table each.
# Two noise samples per input are enough to see where the information goes.
estimator = NetworkMIEstimator(n_draws=8, n_mc=2)
flows = combine_flows(
    [information_flow(net, X, estimator=estimator, random_state=0) for net in networks]
)
clusterings = combine_flows(
    [clustering_flow(net, X, y, random_state=0) for net in networks]
)
last = clusterings.to_frame().query("layer == 3")
print(last.groupby("epoch")["separation"].mean().round(2).to_string())

# %%
# Means over the three networks, and their spread.
figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
flows.plot(axes[0, 0])
clusterings.plot(axes[0, 1], column="separation")

# %%
# The last layer of the first network: pairs of points, and single activations.
PairwiseDistanceDisplay.from_flow(clusterings.flows[0]).plot(axes[1, 0])
ActivationHistogramDisplay.from_recording(networks[0], X).plot(axes[1, 1])
plt.show()
