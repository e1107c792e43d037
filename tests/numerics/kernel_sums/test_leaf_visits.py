import pytest
import torch

from skib._numerics.kernel_sums.leaf_visits import leaf_visits

TILE = 4


@pytest.fixture
def kept(rng):
    """Most leaves are kept by a few tiles, one by all, one by none."""
    kept = torch.tensor(rng.random((13, 9)) < 0.3)
    kept[:, 5], kept[:, 7] = True, False
    return kept


@pytest.mark.parametrize("at_a_time", [1, 3, 40, 1000])
def test_every_kept_pair_is_visited_once(kept, at_a_time):
    found = torch.zeros(kept.shape[0] + 1, kept.shape[1], dtype=torch.int64)
    own_leaf = torch.full((13 * TILE,), 5)
    for visits in leaf_visits(kept, own_leaf, TILE, at_a_time):
        assert visits.tiles.numel() <= at_a_time
        leaves = visits.leaves[:, None].expand_as(visits.tiles)
        one = torch.ones_like(visits.tiles)
        found.index_put_((visits.tiles, leaves), one, accumulate=True)
    torch.testing.assert_close(found[:-1], kept.long())


@pytest.mark.parametrize("at_a_time", [1, 3, 40, 1000])
def test_each_query_finds_its_own_leaf_once(rng, kept, at_a_time):
    """The last tile is short: 50 queries in tiles of 4."""
    own_leaf = torch.tensor(rng.integers(5, size=50))
    kept[torch.arange(50) // TILE, own_leaf] = True
    met = torch.zeros(50, dtype=torch.int64)
    for visits in leaf_visits(kept, own_leaf, TILE, at_a_time):
        met[visits.queries] += 1
        torch.testing.assert_close(
            visits.leaves[visits.places], own_leaf[visits.queries]
        )
        tile = visits.tiles[visits.places, visits.columns // TILE]
        torch.testing.assert_close(tile * TILE + visits.columns % TILE, visits.queries)
    assert (met == 1).all()


def test_a_leaf_that_its_tile_does_not_keep_is_nobodys_own(kept):
    """Leaf 5 is kept by all tiles but the first, leaf 7 by none."""
    kept[0, 5] = False
    for leaf, n_owned in [(5, 46), (7, 0)]:
        own_leaf = torch.full((50,), leaf)
        visits = leaf_visits(kept, own_leaf, TILE, 10)
        assert sum(len(each.queries) for each in visits) == n_owned


def test_nothing_kept_is_nothing_visited():
    kept = torch.zeros(3, 4, dtype=torch.bool)
    assert not list(leaf_visits(kept, torch.zeros(12, dtype=torch.int64), TILE, 10))
