"""Neural estimators: a critic that tells pairs (x, t) that belong together.

Trained on one lot of samples and evaluated on another: what it says is a lower bound of
I(X;T) on average, InfoNCE never above the log of the batch.
"""

import math

import numpy as np
import torch
from scipy.stats import sem
from torch import nn

BATCH, STEPS, WIDTH, LEARNING_RATE = 256, 800, 64, 3e-3
N_TEST = 32 * BATCH


def info_nce(scores):
    """Van den Oord et al. (2018): the pair among all of the batch."""
    return math.log(len(scores)) + scores.log_softmax(dim=0).diagonal().mean()


def mine(scores):
    """Belghazi et al. (2018): the bound of Donsker and Varadhan."""
    n = len(scores)
    strangers = scores[~torch.eye(n, dtype=torch.bool)]
    return scores.diagonal().mean() - strangers.logsumexp(0) + math.log(n * (n - 1))


def critic_mutual_info(problem, seed, bound):
    """Train a critic to make the bound large; mean and error over fresh batches."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        embed_x, embed_t = (_net(n) for n in (problem.X.shape[1], problem.n_units))
        batches = _batches(problem, STEPS * BATCH, seed)
        weights = [*embed_x.parameters(), *embed_t.parameters()]
        optimizer = torch.optim.Adam(weights, LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
        for x, t in batches:
            optimizer.zero_grad()
            (-bound(embed_x(x) @ embed_t(t).T)).backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            found = [
                float(bound(embed_x(x) @ embed_t(t).T))
                for x, t in _batches(problem, N_TEST, seed + 1)
            ]
    return np.mean(found), sem(found)


def _net(n_features):
    return nn.Sequential(
        *(nn.Linear(n_features, WIDTH), nn.ReLU()),
        *(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH)),
    )


def _batches(problem, n_samples, seed):
    """Pairs of an input and an output, both standardised, batch by batch."""
    rows, t = problem.samples(n_samples, seed)
    x, t = _standard(problem.X)[rows], _standard(t)
    return list(zip(x.split(BATCH), t.split(BATCH), strict=True))


def _standard(values):
    spread = values.std(axis=0)
    scaled = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return torch.as_tensor(scaled, dtype=torch.float32)
