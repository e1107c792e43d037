import math

import pytest
import torch

from skib._numerics.kernel_sums.clouds import Clouds, Queries
from skib._numerics.kernel_sums.truncation import kept_leaves


@pytest.mark.parametrize("tile", [3, 8, 32])
def test_runs_of_tiles_hide_no_leaf_that_a_tile_would_keep(rng, draw_case, tile):
    """What is kept is what a plain test of every tile against every leaf keeps."""
    tolerance = 1e-6
    centers, weights, groups, draws, noise = draw_case(
        rng, "clustered", n_features=3, noise_std=0.02, n_groups=300, n_queries=1001
    )
    clouds = Clouds.sorted_in_space(centers, weights, 0.02, torch.float64)
    queries = Queries.around_own_centers(
        clouds, centers, groups, draws, noise, tile=tile
    )
    expected = []
    for start in range(0, 1001, tile):
        here = queries.part(start, start + tile)
        low, high = here.points.amin(0), here.points.amax(0)
        gap = torch.maximum(clouds.low - high, low - clouds.high).clamp(min=0)
        per_group = clouds.weights.sum(1)
        height = (here.reference - per_group[here.own].log()).max()
        padded = torch.zeros(clouds.n_leaves * clouds.groups_per_leaf).double()
        padded[: len(per_group)] = per_group
        mass = padded.view(clouds.n_leaves, -1).sum(1) * centers.shape[1]
        share = mass.log() + height - 0.5 * gap.square().sum(1)
        expected.append(share > math.log(tolerance / clouds.n_leaves))
    found = kept_leaves(clouds, queries, tile, tolerance)
    assert torch.equal(found.leaves, torch.stack(expected))
    assert 0 < found.leaves.double().mean() < 0.9
    assert 0 <= found.error_bound < tolerance
