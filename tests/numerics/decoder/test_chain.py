"""Contenders, and the chain: means that are exact, ends that hold, what it may know."""

import math
from itertools import product, starmap

import pytest
import torch

from skib._numerics.decoder import Decoder, Scorer, choose_temper, decode_points
from skib._numerics.decoder.annealed_odds import annealed_odds
from skib._numerics.decoder.chain import LabelOdds, OddsQuestion, run_chain
from skib._numerics.decoder.contenders import Pair, PickLaw, Shift, log_joint
from skib._numerics.decoder.decode import DEFENCES, POWERS, Temper, decode
from skib._numerics.layer_density.noise_posterior import LayerProblem
from skib._numerics.layer_density.posterior_fit import fit_posterior


def problem_of(case, rows):
    return LayerProblem(
        case.network, case.layer, case.first[case.own[rows]], case.points[rows]
    )


def setup(case, n_points, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.arange(n_points)
    problem = problem_of(case, rows)
    gaussian = fit_posterior(problem, generator)
    n_inputs = len(case.first)
    log_weights = torch.full((n_inputs,), -math.log(n_inputs), dtype=torch.float64)
    scores = Scorer(case.network, case.first, case.layer).scores(case.points[rows])
    law = PickLaw(scores, case.own[rows], log_weights, 1.0)
    return problem, gaussian, scores, law, log_weights, generator


@pytest.mark.parametrize("pairwise", [False, True])
def test_odds_of_a_linear_network_are_exact(pairwise, make_case):
    """Every step and every set of all contenders gives p(t | j) / p(t | i)."""
    case = make_case("identity")
    problem, gaussian, scores, *_, generator = setup(case, 30)
    first = case.first.expand(30, -1, -1)
    if pairwise:
        contenders = Pair.between(problem, gaussian, first, generator)
    else:
        contenders = Shift.along(problem, gaussian)
    noise = case.noise[:30]
    log_own = log_joint(problem, problem.first, noise)
    own = scores.gather(1, case.own[:30, None])
    found = contenders.log_ratios(noise, log_own, first)
    torch.testing.assert_close(found, scores - own, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("pairwise", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_mean_odds_are_unbiased(activation, pairwise, make_case):
    """Over many passes, input i's mean of R_j is that of p(t | j) / p(t | i): 1."""
    case = make_case(activation, noise_std=0.8, n_inputs=2, n_passes=6000)
    problem, gaussian, *_, generator = setup(case, 12_000)
    other = case.first[1 - case.own][:, None]
    if pairwise:
        contenders = Pair.between(problem, gaussian, other, generator)
    else:
        contenders = Shift.along(problem, gaussian)
    log_own = log_joint(problem, problem.first, case.noise)
    ratios = contenders.log_ratios(case.noise, log_own, other)[:, 0].exp()
    error = ratios.std() / len(ratios) ** 0.5
    assert error < 0.1
    assert abs(ratios.mean() - 1) < 4 * error


def test_annealed_odds_of_a_linear_network_are_exact(make_case):
    """With one other input to pick, every round gives p(t | j) / p(t | i)."""
    case = make_case("identity", n_inputs=2)
    problem, gaussian, scores, law, _, generator = setup(case, 100)
    question = OddsQuestion(problem, gaussian, law, case.first, case.noise)
    found = annealed_odds(question, 3, 2, generator).log_odds
    own = case.own[:, None]
    exact = (scores.gather(1, 1 - own) - scores.gather(1, own))[:, 0]
    torch.testing.assert_close(found, exact.expand(3, -1), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_annealed_odds_are_unbiased(activation, make_case):
    """Over many passes, input i's mean of p(t | j) / p(t | i) is 1."""
    case = make_case(activation, noise_std=0.8, n_inputs=2, n_passes=3000)
    problem, gaussian, _, law, _, generator = setup(case, 6000)
    question = OddsQuestion(problem, gaussian, law, case.first, case.noise)
    odds = annealed_odds(question, 1, 1, generator).log_odds[0].exp()
    error = odds.std() / len(odds) ** 0.5
    assert error < 0.1
    assert abs(odds.mean() - 1) < 4 * error


def test_the_chain_keeps_the_law_of_the_noise(make_case):
    """The squares of the noise and its misfit stay chi-square on average."""
    case = make_case("tanh", n_inputs=4, n_passes=1500)
    problem, gaussian, _, law, _, generator = setup(case, 6000)
    question = OddsQuestion(problem, gaussian, law, case.first, case.noise)
    odds = run_chain(question, 40, 3, generator).log_odds
    start, end = (-torch.nn.functional.softplus(odds[k]) for k in (0, -1))
    error = (start - end).std() / len(start) ** 0.5
    assert 0 < error < 0.02
    assert abs((start - end).mean()) < 4 * error


def test_the_high_end_falls_with_the_steps_and_stays_above_the_low(make_case):
    case = make_case("tanh", n_passes=100)
    problem, gaussian, scores, law, log_weights, generator = setup(case, 1200)
    question = OddsQuestion(problem, gaussian, law, case.first, case.noise)
    odds = run_chain(question, 64, 4, generator).log_odds
    ends = [
        -torch.nn.functional.softplus(odds[:k].logsumexp(0) - math.log(k)).mean()
        for k in (1, 8, 64)
    ]
    assert ends[0] > ends[1] > ends[2]
    joint = log_weights.exp()[:, None]
    low = decode(scores, case.own, joint, Temper(0.8, 1e-3)).low - math.log(12)
    assert ends[2] > low.mean() - 0.02


def test_label_odds_of_a_linear_network_bracket_the_label(make_case):
    """Scores are exact, so the decoder's log p(y | t) is, and the high end is above."""
    case = make_case("identity", n_passes=100)
    problem, gaussian, scores, law, log_weights, generator = setup(case, 1200)
    labels = torch.arange(12) % 3
    given = (labels == labels[case.own][:, None]).double()
    posterior = (scores + log_weights).log_softmax(1)
    about_label = (posterior + given.log()).logsumexp(1)
    share = posterior.gather(1, case.own[:, None])[:, 0] - about_label
    label = LabelOdds(given, torch.ones(1200).double(), share)
    question = OddsQuestion(problem, gaussian, law, case.first, case.noise, label)
    odds = run_chain(question, 2, 64, generator).log_label_odds
    high = -torch.nn.functional.softplus(odds.logsumexp(0) - math.log(2))
    off = high - about_label
    # The picks are 128 of 12 inputs: next to no error is left.
    assert abs(off.mean()) < 4 * off.std() / 1200**0.5 + 2e-3
    assert off.abs().mean() < 0.05


def test_only_the_start_knows_the_true_noise(make_case):
    """Fit and picks are the same whatever noise made the points."""
    case = make_case("tanh")
    found = []
    for noise in (case.noise, torch.randn_like(case.noise)):
        case.noise = noise
        problem, gaussian, _, law, _, generator = setup(case, 40)
        picks = law.draw(5, generator)
        shift = Shift.along(problem, gaussian).per_difference
        found.append((gaussian.center, gaussian.slopes, picks.inputs, shift))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0.0, atol=0.0)


def test_picks_follow_their_law_and_never_are_the_own_input(make_case):
    case = make_case("tanh")
    _, _, _, law, _, generator = setup(case, 24)
    total = torch.zeros(24, 12, dtype=torch.float64)
    for _ in range(4000):
        picks = law.draw(3, generator)
        total.scatter_add_(1, picks.inputs, picks.log_weight.exp())
    # A pick counts as many times as it is rare: all others have weight w_j / w_i = 1.
    mean = total / 4000
    assert (mean.gather(1, case.own[:24, None]) == 0).all()
    others = mean[mean > 0]
    assert len(others) == 24 * 11
    assert abs(others.mean() - 1) < 0.02


def test_the_decoder_is_exact_for_linear_networks(make_case):
    """Bayes' rule twin; the entropy form has the same mean and less spread."""
    case = make_case("identity", n_passes=400)
    scorer = Scorer(case.network, case.first, case.layer)
    joint = torch.full((12, 1), 1 / 12, dtype=torch.float64)
    plain, exact = (
        decode_points(Decoder(scorer, temper), case.points, case.own, joint).low
        for temper in (Temper(), Temper(exact=True))
    )
    twin = scorer.scores(case.points).log_softmax(1)
    twin = twin.gather(1, case.own[:, None])[:, 0] + math.log(12)
    torch.testing.assert_close(plain, twin, rtol=1e-5, atol=1e-5)
    error = (plain - exact).std() / len(plain) ** 0.5
    assert abs((plain - exact).mean()) < 4 * error
    assert exact.std() < 0.7 * plain.std()


def test_labels_are_decoded_by_the_sum_over_their_inputs(make_case):
    case = make_case("tanh")
    scorer = Scorer(case.network, case.first, case.layer)
    labels = torch.arange(12) % 2
    joint = torch.nn.functional.one_hot(labels).double() / 12
    decoder = Decoder(scorer, Temper(0.7, 0.01))
    found = decode_points(decoder, case.points, case.own, joint)
    posterior = (0.7 * scorer.scores(case.points)).softmax(1)
    of_label = (posterior * (labels == labels[case.own][:, None])).sum(1)
    expected = (0.99 * of_label / 0.5 + 0.01).log()
    torch.testing.assert_close(found.label_low, expected, rtol=1e-5, atol=1e-5)


def test_the_temper_forgives_scores_that_are_too_sure(make_case):
    case = make_case("tanh")
    scores = Scorer(case.network, case.first, case.layer).scores(case.points)
    log_weights = torch.full((12,), -math.log(12), dtype=torch.float64)
    fair = choose_temper(scores, case.own, log_weights)
    sure = choose_temper(3 * scores, case.own, log_weights)
    assert sure.power < 0.6 * fair.power


def test_the_temper_is_the_best_decoder_of_all(make_case, monkeypatch):
    case = make_case("relu")
    joint = torch.rand(12, 1, dtype=torch.float64)
    joint /= joint.sum()
    scores = 3 * Scorer(case.network, case.first, case.layer).scores(case.points)
    found = {
        temper: float(decode(scores, case.own, joint, temper).low.mean())
        for temper in starmap(Temper, product(POWERS, DEFENCES))
    }
    # The tiles are of a few rows, and the last is not full.
    monkeypatch.setattr("skib._numerics.decoder.decode.FLOATS_PER_TILE", 12 * 7)
    assert len(scores) % 7
    chosen = choose_temper(scores, case.own, joint[:, 0].log())
    assert found[chosen] == pytest.approx(max(found.values()), abs=1e-6)
    assert max(found.values()) > min(found.values()) + 0.01


def test_a_pair_maps_gaussian_to_gaussian_and_counts_the_volume(make_case):
    case = make_case("tanh", noise_std=0.8)
    problem, gaussian, *_, generator = setup(case, 10)
    first = case.first.expand(10, -1, -1)
    pair = Pair.between(problem, gaussian, first, generator)
    log_own = log_joint(problem, problem.first, case.noise[:10])
    found = pair.log_ratios(case.noise[:10], log_own, first)
    log_volume = torch.linalg.slogdet(pair.stretch).logabsdet
    assert log_volume.abs().max() > 0.1
    moved = (case.noise[:10] - gaussian.center)[:, None, :, None]
    moved = pair.centers + (pair.stretch @ moved)[..., 0]
    expected = log_joint(problem, first, moved) - log_own[:, None] + log_volume
    torch.testing.assert_close(found, expected)
    # To the own input nothing moves but by the draws of the two fits.
    own = pair.centers[torch.arange(10), case.own[:10]]
    assert (own - gaussian.center).abs().max() < 0.5
