"""Scores against torch's Gaussians, and the kink against quadrature."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from skib._numerics.decoder import CenterScorer, Scorer, scorer_of_passes, with_bends
from skib._numerics.decoder.bends import bend_nodes
from skib._numerics.decoder.kinks import rectified_log_density
from skib._numerics.decoder.surrogate import RECTIFIERS, layer_surrogate


@pytest.mark.parametrize("activation", ["identity", "tanh"])
@pytest.mark.parametrize("noise_std", [0.005, 0.4, 2.0])
def test_scores_are_log_densities_of_the_surrogates(activation, noise_std, make_case):
    case = make_case(activation, noise_std=noise_std)
    scorer = Scorer(case.network, case.first, case.layer)
    surrogate = layer_surrogate(case.network, case.first, case.layer)
    twin = MultivariateNormal(surrogate.mean, surrogate.covariance)
    # Quadratic forms of far points are large: digits are lost, relative to those.
    expected = twin.log_prob(case.points[:, None])
    torch.testing.assert_close(
        scorer.scores(case.points), expected, rtol=1e-8, atol=1e-6
    )
    torch.testing.assert_close(scorer.entropy, twin.entropy())


def test_tiles_are_the_whole(make_case, monkeypatch):
    case = make_case("relu")
    scorer = Scorer(case.network, case.first, case.layer)
    monkeypatch.setattr("skib._numerics.decoder.scores.FLOATS_PER_TILE", 500)
    tiles = [scores for _, scores in scorer.tiles(case.points)]
    assert len(tiles) > 5
    torch.testing.assert_close(torch.cat(tiles), scorer.scores(case.points))


@pytest.mark.parametrize("left", [0.0, 0.01, 0.5])
@pytest.mark.parametrize(
    ("mean", "std", "noise_std"), [(0.2, 0.5, 0.1), (-1, 0.3, 0.2), (1, 0.2, 0.5)]
)
def test_rectified_density_agrees_with_quadrature(left, mean, std, noise_std):
    z = torch.linspace(-9, 9, 40_001, dtype=torch.float64)
    mass = (-0.5 * z**2).exp()
    mass /= mass.sum()
    value = mean + std * z
    f = torch.where(value > 0, value, left * value)
    points = torch.linspace(-0.5, 2, 11, dtype=torch.float64)
    normal = torch.distributions.Normal(f, noise_std)
    expected = (mass * normal.log_prob(points[:, None]).exp()).sum(1).log()
    moments = (torch.tensor(x, dtype=torch.float64) for x in (mean, std))
    found = rectified_log_density(points, *moments, noise_std, left)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("activation", sorted(RECTIFIERS))
@pytest.mark.parametrize("noise_std", [0.02, 0.3])
def test_scores_of_one_rectified_unit_are_its_density(activation, noise_std, make_case):
    """A single unit behind a linear first layer: no Gaussian share is left."""
    case = make_case(activation, sizes=(2, 3, 1), noise_std=noise_std)
    network = case.network
    case.first = case.first.abs()
    surrogate = layer_surrogate(network, case.first, 2)
    expected = rectified_log_density(
        case.points[:, None, 0],
        surrogate.before_mean[:, 0],
        surrogate.before_std[:, 0],
        noise_std,
        RECTIFIERS[activation],
    )
    found = Scorer(network, case.first, 2).scores(case.points)
    plausible = expected > -30
    # The table is interpolated.
    off = (found - expected)[plausible].abs()
    assert off.mean() < 0.02
    assert off.max() < 0.5


def test_units_that_are_far_off_lose_no_digits(make_case):
    """Nothing but the noise of the layer is left, millions of nats from always on."""
    case = make_case("relu", sizes=(2, 3, 1), noise_std=0.005)
    case.network.intercepts[1].fill_(-50.0)
    points = 0.005 * torch.linspace(-3, 3, 13, dtype=torch.float64)[:, None]
    found = Scorer(case.network, case.first, 2).scores(points)
    expected = torch.distributions.Normal(0.0, 0.005).log_prob(points)
    torch.testing.assert_close(found, expected.expand_as(found), rtol=0, atol=1e-3)


@pytest.mark.parametrize("activation", ["tanh", "logistic"])
@pytest.mark.parametrize(
    ("noise_std", "steeper", "most_off"),
    [(0.1, 1, 0.01), (0.4, 1, 0.01), (0.1, 40, 0.1)],
)
def test_scores_of_one_bounded_unit_are_its_density(
    activation, noise_std, steeper, most_off, make_case
):
    """A single unit is normal before the activation: quadrature gives its density."""
    case = make_case(activation, sizes=(2, 3, 1), noise_std=noise_std)
    network = case.network
    network.coefs[1].mul_(steeper)
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    mass = (-0.5 * z**2).softmax(0)
    apply_ = {"tanh": torch.tanh, "logistic": torch.sigmoid}[activation]
    before = case.first @ network.coefs[1] + network.intercepts[1]
    spread = noise_std * network.coefs[1].norm()
    value = apply_(before + spread * z)  # one row per input
    normal = torch.distributions.Normal(value, noise_std)
    density = (mass * normal.log_prob(case.points[:, :, None]).exp()).sum(2)
    scorer = Scorer(network, case.first, 2)
    plain, bent = (
        each.scores(case.points)
        for each in (scorer, with_bends(scorer, network, case.first, 2))
    )
    plausible = density.log() > -10
    # The table is interpolated, in single precision.
    off = (bent - density.log())[plausible].abs()
    assert off.mean() < most_off
    assert off.max() < 10 * most_off
    assert off.mean() < 0.2 * (plain - density.log())[plausible].abs().mean()


def test_bends_are_tabulated_where_they_pay():
    nodes = bend_nodes("tanh", 0.1)
    assert nodes[0] < -1.9
    assert nodes[-1] > 1.9
    between = nodes[(nodes > -1.2) & (nodes < 1.2)].diff()
    assert between.max() <= 0.05 + 1e-12
    assert bend_nodes("tanh", 0.005) is None  # a table of hundreds of nodes
    assert bend_nodes("relu", 0.1) is None  # whose kinks have tables of their own


def test_tables_that_would_be_large_are_left_out(make_case, monkeypatch):
    case = make_case("tanh")
    args = case.network, case.first, case.layer
    scorer = Scorer(*args)
    n_numbers = with_bends(scorer, *args).tables.values.numel()
    monkeypatch.setattr("skib._numerics.decoder.scores.MOST_BENDS", n_numbers - 1)
    assert with_bends(scorer, *args) is None
    assert scorer.tables is None


def test_centers_are_scored_as_spheres(make_case):
    case = make_case("tanh", noise_std=0.05)
    scorer = CenterScorer(case.first, 0.05)
    points = case.first[case.own] + 0.05 * torch.randn(len(case.own), 4).double()
    twin = torch.distributions.Independent(
        torch.distributions.Normal(case.first, 0.05), 1
    )
    expected = twin.log_prob(points[:, None])
    torch.testing.assert_close(scorer.scores(points), expected, rtol=1e-8, atol=1e-6)
    torch.testing.assert_close(scorer.entropy, twin.entropy())


def test_moments_of_passes_are_those_of_linear_layers(make_case):
    case = make_case("identity")
    joint = torch.full((12, 1), 1 / 12, dtype=torch.float64)
    found = scorer_of_passes(case.network, case.first, case.layer, joint)
    twin = Scorer(case.network, case.first, case.layer)
    # 64 passes of each input: variances are known to a fifth.
    assert (found.entropy - twin.entropy).abs().max() < 0.6
    own = (scorer.scores(case.points).gather(1, case.own[:, None])
           for scorer in (found, twin))  # fmt: skip
    loss = torch.sub(*own).mean()
    assert -0.2 < loss < 0.02
    again = scorer_of_passes(case.network, case.first, case.layer, joint)
    assert torch.equal(found.coefficients, again.coefficients)
