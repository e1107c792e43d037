"""Hamiltonian moves: exact in linear networks, and the law stays as it is in others."""

import math

import pytest
import torch

from skib._numerics.layer_density.moves import ANGLES, STEPS_PER_MOVE, Roller
from skib._numerics.layer_density.noise_posterior import LayerProblem
from skib._numerics.layer_density.posterior_fit import fit_posterior


def roller_of(case):
    generator = torch.Generator().manual_seed(0)
    problem = LayerProblem(
        case.network, case.layer, case.first[case.own], case.points
    )  # fmt: skip
    return Roller(problem, fit_posterior(problem, generator)), generator


@pytest.mark.parametrize("turn", range(len(ANGLES)))
def test_in_linear_networks_a_move_is_a_rotation(turn, make_case):
    """The Gaussian is the law: nothing pulls, nothing is refused."""
    case = make_case("identity", n_passes=200)
    roller, generator = roller_of(case)
    start = roller.at(case.noise)
    assert start.pull.abs().max() < 1e-8
    there, moved = roller.move(start, turn, generator)
    assert moved.all()
    before, after = (
        place.noise - roller.gaussian.center for place in (start, there)
    )  # fmt: skip
    kept = float((before * after).sum() / before.square().sum())
    n_numbers = before.numel()
    angle = STEPS_PER_MOVE * ANGLES[turn]
    assert kept == pytest.approx(math.cos(angle), abs=5 / math.sqrt(n_numbers))


@pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu"])
def test_moves_keep_the_law_of_the_noise(activation, make_case):
    """Exact samples stay exact samples, where many moves are refused too."""
    case = make_case(activation, noise_std=1.2, n_inputs=4, n_passes=1500)
    roller, generator = roller_of(case)
    start = place = roller.at(case.noise)
    n_moved = 0.0
    for turn in range(6):
        place, moved = roller.move(place, turn, generator)
        n_moved += float(moved.double().mean()) / 6
    assert 0.3 < n_moved < 0.999
    last = case.network.sizes_before(case.layer)[-1]
    for statistic in (
        lambda p: p.noise.square().sum(1),
        lambda p: p.log_joint,
        lambda p: p.noise[:, -last:].relu().sum(1),
        lambda p: (p.noise[:, 0] * p.noise[:, -1]).clamp(-3, 3),
    ):
        change = statistic(place) - statistic(start)
        error = float(change.std()) / math.sqrt(len(change))
        assert error > 0
        assert abs(float(change.mean())) < 4 * error


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_moves_lead_back(activation, make_case):
    """Without that, and without the volume kept, the law would drift."""
    case = make_case(activation, noise_std=0.8, n_passes=20)
    roller, generator = roller_of(case)
    start = roller.at(case.noise)
    speed = roller.gaussian.draw(1, generator)[0]
    there, speed_there = roller.roll(start, speed, 0.2)
    assert (there.noise - start.noise).abs().mean() > 0.1
    back, speed_back = roller.roll(there, -speed_there, 0.2)
    torch.testing.assert_close(back.noise, start.noise, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(-speed_back, speed, rtol=1e-6, atol=1e-6)


def test_what_pulls_is_the_slope_beyond_the_gaussian(make_case):
    """Twin by differences of the log-density, and by the covariance written out."""
    case = make_case("tanh", noise_std=0.8)
    roller, _ = roller_of(case)
    place = roller.at(case.noise)
    step = 1e-6
    slope = torch.empty_like(place.noise)
    for k in range(slope.shape[1]):
        moved = torch.zeros_like(place.noise)
        moved[:, k] = step
        ends = (roller.at(place.noise + side * moved).log_joint for side in (1, -1))
        slope[:, k] = torch.sub(*ends) / (2 * step)
    gaussian = roller.gaussian
    identity = torch.eye(slope.shape[1], dtype=torch.float64)
    precision = identity + gaussian.slopes.mT @ gaussian.slopes
    by_hand = torch.linalg.solve(precision, slope[..., None])[..., 0]
    by_hand = by_hand + place.noise - gaussian.center
    torch.testing.assert_close(place.pull, by_hand, rtol=1e-5, atol=1e-6)
    square = (place.noise[:, None] @ precision @ place.noise[..., None])[:, 0, 0]
    torch.testing.assert_close(gaussian.square(place.noise), square)
