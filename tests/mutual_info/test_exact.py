"""Exact values against closed forms, scipy and mpmath twins, and identities."""

import math
import pickle

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate, stats

from skib.mutual_info import (
    ExactValue,
    awgn_mutual_info,
    gaussian_mixture_entropy,
    linear_network_mutual_info,
    product_mutual_info,
)


def entropy_by_mpmath(centers, noise_std, weights):
    """Plain twin in one dimension: 40 digits, split at every centre and between."""
    with mpmath.workdps(40):
        s = mpmath.mpf(noise_std)
        components = [
            (mpmath.mpf(c), mpmath.mpf(w))
            for c, w in zip(centers, weights, strict=True)
        ]

        def integrand(t):
            p = mpmath.fsum(w * mpmath.npdf(t, c, s) for c, w in components)
            return -p * mpmath.log(p) if p > 0 else mpmath.mpf(0)

        edges = {c + k * s for c, _ in components for k in range(-12, 13, 2)}
        value = mpmath.quad(integrand, sorted(edges), maxdegree=7)
        return float(value)


def information_by_nested_quad(points, noise_std, weights):
    """Plain twin in two dimensions."""
    points = np.asarray(points)

    def integrand(y, x):
        squares = ((points - [x, y]) ** 2).sum(1)
        p = weights @ np.exp(-squares / (2 * noise_std**2))
        p /= 2 * math.pi * noise_std**2
        return -p * math.log(p) if p > 0 else 0.0

    low, high = points.min(0) - 8 * noise_std, points.max(0) + 8 * noise_std
    value, _ = integrate.dblquad(
        integrand, low[0], high[0], low[1], high[1], epsabs=1e-9, epsrel=1e-9
    )
    return value - math.log(2 * math.pi * math.e * noise_std**2)


def bpsk(noise_std):
    """Textbook form of two points at +-1: log 2 - E log(1 + exp(-2 V)/s^2)."""
    snr = noise_std**-2
    with mpmath.workdps(30):
        loss = mpmath.quad(
            lambda z: (
                mpmath.npdf(z)
                * mpmath.log(1 + mpmath.exp(-2 * snr - 2 * mpmath.sqrt(snr) * z))
            ),
            list(range(-12, 13, 2)),
        )
        return float(mpmath.log(2) - loss)


@pytest.mark.parametrize("noise_std", [0.1, 0.3, 0.5, 1.0, 2.0, 30.0])
def test_two_points_agree_with_the_textbook_form(noise_std):
    found = awgn_mutual_info([[-1.0], [1.0]], noise_std)
    assert found == pytest.approx(bpsk(noise_std), rel=1e-9, abs=1e-13)
    assert found.error < 1e-12
    assert found.method == "quadrature"


@pytest.mark.parametrize(
    ("centers", "weights", "noise_std"),
    [
        ([0.0, 1.0, 1.5, 4.0], [0.1, 0.2, 0.3, 0.4], 0.7),
        ([0.0, 8.0], [0.5, 0.5], 1.0),  # the log of the density has a sharp bend
        ([0.0, 10.0], [1 - 1e-10, 1e-10], 1.0),  # a rare point far out
        ([0.0, 5.0, 1e3, 1e6], [0.4, 0.3, 0.2, 0.1], 1.0),
        ([0.0, 1e-9, 2.0], [0.3, 0.3, 0.4], 0.5),
        ([-3.0, -1.0, 1.0, 3.0], [0.25] * 4, 1e-3),
    ],
)
def test_entropy_in_one_dimension_agrees_with_mpmath(centers, weights, noise_std):
    found = gaussian_mixture_entropy(np.c_[centers], noise_std, weights)
    truth = entropy_by_mpmath(centers, noise_std, weights)
    assert found == pytest.approx(truth, abs=1e-10)
    assert abs(found - truth) <= found.error + 1e-12


@pytest.mark.parametrize("noise_std", [0.35, 1.0])
def test_information_in_two_dimensions_agrees_with_scipy(noise_std):
    points = [[0.0, 0.0], [1.0, 0.3], [-0.5, 1.2], [0.2, -1.0]]
    weights = np.array([0.4, 0.3, 0.2, 0.1])
    found = awgn_mutual_info(points, noise_std, weights)
    truth = information_by_nested_quad(points, noise_std, weights)
    assert found == pytest.approx(truth, abs=1e-7)
    assert found.error < 1e-8


@pytest.mark.parametrize("n_dims", [2, 3])
@pytest.mark.parametrize("noise_std", [0.2, 0.5, 3.0])
def test_corners_of_a_cube_are_independent_coordinates(n_dims, noise_std):
    corners = np.stack(np.meshgrid(*[[-1.0, 1.0]] * n_dims), -1).reshape(-1, n_dims)
    found = awgn_mutual_info(corners, noise_std)
    assert found == pytest.approx(n_dims * bpsk(noise_std), abs=1e-8)
    assert found.error < 1e-8


@pytest.mark.parametrize(("n_dims", "noise_std"), [(4, 0.7), (6, 1.0)])
def test_monte_carlo_agrees_within_its_standard_error(n_dims, noise_std):
    corners = np.stack(np.meshgrid(*[[-1.0, 1.0]] * n_dims), -1).reshape(-1, n_dims)
    truth = n_dims * bpsk(noise_std)
    found = [
        awgn_mutual_info(corners, noise_std, n_mc=2000, random_state=seed)
        for seed in range(20)
    ]
    assert all(value.method == "monte carlo" for value in found)
    pull = np.array([(value - truth) / value.error for value in found])
    assert abs(pull.mean()) < 4 / math.sqrt(len(pull))
    # Even visits to the points make the stated error, if anything, too large.
    assert 0.3 < pull.std() < 1.6


def test_reed_muller_code_of_full_rate():
    truth = 16 * bpsk(0.8)
    found = product_mutual_info([[-1.0, 1.0]] * 16, 0.8)
    assert found == pytest.approx(truth, abs=1e-10)


@pytest.mark.parametrize("n_dims", [1, 2, 7])
@pytest.mark.parametrize("noise_std", [1e-12, 1.0, 1e12])
def test_one_point_tells_nothing(n_dims, noise_std):
    point = np.full((1, n_dims), 3.0)
    assert awgn_mutual_info(point, noise_std) == 0.0
    entropy = 0.5 * n_dims * math.log(2 * math.pi * math.e * noise_std**2)
    found = gaussian_mixture_entropy(point, noise_std)
    assert found == pytest.approx(entropy, rel=1e-12)


def test_equal_points_count_as_one():
    assert awgn_mutual_info([[2.0, 1.0]] * 5, 0.1) == 0.0
    repeated = awgn_mutual_info([[0.0], [0.0], [1.0]], 0.5)
    weighted = awgn_mutual_info([[0.0], [1.0]], 0.5, [2.0, 1.0])
    assert repeated == pytest.approx(weighted, abs=1e-14)


@pytest.mark.parametrize("n_dims", [1, 2, 3, 5, 20])
def test_points_far_apart_are_told_apart(n_dims):
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(50))
    found = awgn_mutual_info(rng.standard_normal((50, n_dims)), 1e-7, weights)
    assert found == pytest.approx(stats.entropy(weights), abs=1e-13)


def test_far_groups_of_near_points_add_their_parts():
    """Chain rule: which group, then which point of it."""
    near = np.array([[0.0, 0.0], [1.0, 0.5], [0.3, 1.0]])
    points = np.concatenate([near, near + 1e5, near[:2] - 1e5])
    weights = np.repeat([0.2 / 3, 0.5 / 3, 0.3 / 2], [3, 3, 2])
    inner, pair = awgn_mutual_info(near, 1.0), awgn_mutual_info(near[:2], 1.0)
    expected = stats.entropy([0.2, 0.5, 0.3]) + 0.7 * inner + 0.3 * pair
    assert awgn_mutual_info(points, 1.0, weights) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("noise_std", [1e3, 1e6, 1e9])
def test_huge_noise_leaves_half_the_signal_to_noise_ratio(noise_std):
    points = np.random.default_rng(0).standard_normal((30, 2))
    gains = np.linalg.eigvalsh(np.cov(points.T, ddof=0)) / noise_std**2
    expected = 0.5 * np.log1p(gains).sum()
    found = awgn_mutual_info(points, noise_std)
    assert found == pytest.approx(expected, rel=1e-3, abs=2 * found.error)
    assert found > 0


def test_points_on_a_line_need_no_sampling_in_any_dimension():
    direction = np.random.default_rng(0).standard_normal(50)
    direction /= np.linalg.norm(direction)
    places = np.array([0.0, 0.4, 1.3, 2.2])
    line = awgn_mutual_info(places[:, None] * direction + 7.0, 0.5)
    assert line.method == "quadrature"
    assert line == pytest.approx(awgn_mutual_info(places[:, None], 0.5), abs=1e-10)


@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_turning_shifting_and_scaling_do_not_matter(n_dims):
    rng = np.random.default_rng(1)
    points, weights = rng.standard_normal((12, n_dims)), rng.dirichlet(np.ones(12))
    turn = np.linalg.qr(rng.standard_normal((n_dims, n_dims)))[0]
    first = awgn_mutual_info(points, 0.4, weights)
    second = awgn_mutual_info(5 * (points @ turn + 3.0), 2.0, 7 * weights)
    assert second == pytest.approx(first, abs=1e-9)


def test_many_points_along_a_line_stay_cheap():
    """Twin: the chain of equally spaced points has one value per inner point."""
    found = awgn_mutual_info(np.arange(0.0, 20_000.0, 5.0)[:, None], 1.0)

    def loss(z):
        shifts = np.arange(-20, 21) * 5.0
        ratios = np.exp(-shifts * z - shifts**2 / 2)
        return stats.norm.pdf(z) * math.log(ratios.sum())

    inner = integrate.quad(loss, -10, 10, epsabs=1e-13)[0]
    ends = math.log(4000) - found - inner
    assert abs(ends) < 2 * inner / 4000 + 1e-9
    assert found.error < 1e-9


def test_tensors_and_weights_of_zero():
    points = torch.tensor([[0.0], [1.0], [50.0]], dtype=torch.float64)
    found = awgn_mutual_info(points, 0.5, torch.tensor([1.0, 1.0, 0.0]))
    assert found == awgn_mutual_info([[0.0], [1.0]], 0.5)


def test_the_value_is_a_float_with_its_error():
    value = awgn_mutual_info([[0.0], [1.0]], 0.5)
    assert isinstance(value, float)
    assert type(float(value)) is float
    copied = pickle.loads(pickle.dumps(value))
    assert (copied, copied.error, copied.method) == (value, value.error, value.method)
    assert repr(ExactValue(1.0, 0.5, "monte carlo")) == (
        "ExactValue(1.0, error=0.5, method='monte carlo')"
    )
    assert f"{value}" == repr(float(value)) == str(value)


def test_same_random_state_gives_the_same_value():
    points = np.random.default_rng(0).standard_normal((30, 5))
    first, second, other = (
        awgn_mutual_info(points, 1.0, n_mc=500, random_state=seed) for seed in (3, 3, 4)
    )
    assert first == second != other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.0]], 0.0), "noise_std must be > 0"),
        (([[0.0], [math.nan]], 1.0), "points contains NaN"),
        (([0.0, 1.0], 1.0), "Expected 2D array"),
        (([[0.0], [1.0]], 1.0, [1.0]), r"one number per point, shape \(2,\)"),
        (([[0.0], [1.0]], 1.0, [1.0, -1.0]), "weights must be finite, >= 0"),
        (([[0.0], [1.0]], 1.0, [0.0, 0.0]), "not all zero"),
    ],
)
@pytest.mark.parametrize("function", [awgn_mutual_info, gaussian_mixture_entropy])
def test_what_cannot_be_used_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


def test_n_mc_and_empty_products_are_refused():
    with pytest.raises(ValueError, match="n_mc must be an integer >= 2"):
        awgn_mutual_info([[0.0]], 1.0, n_mc=1)
    with pytest.raises(ValueError, match="at least one set of points"):
        product_mutual_info([], 1.0)


# --- linear networks ----------------------------------------------------------------


def test_scalar_chain_of_gaussian_channels():
    """T_l = a_l T_(l-1) + Z_l: signal and noise powers by hand."""
    found = linear_network_mutual_info([[[2.0]], [[0.5]], [[3.0]]], [0.1, 0.2, 0.3])
    signal, noise, expected = 1.0, 0.0, []
    for gain, std in [(2.0, 0.1), (0.5, 0.2), (3.0, 0.3)]:
        signal, noise = gain**2 * signal, gain**2 * noise + std**2
        expected.append(0.5 * math.log(1 + signal / noise))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_linear_network_agrees_with_entropies_of_gaussians():
    """Twin: h(T) - h(T|X) with scipy's multivariate normal."""
    rng = np.random.default_rng(0)
    w1, w2 = rng.standard_normal((4, 3)), rng.standard_normal((3, 2))
    root = rng.standard_normal((4, 4))
    found = linear_network_mutual_info([w1, w2], 0.3, root @ root.T)
    given_x = 0.3**2 * (np.eye(2) + w2.T @ w2)
    total = given_x + w2.T @ w1.T @ root @ root.T @ w1 @ w2
    expected = (
        stats.multivariate_normal(cov=total).entropy()
        - stats.multivariate_normal(cov=given_x).entropy()
    )
    assert found[1] == pytest.approx(expected, rel=1e-10)
    assert found[0] >= found[1]


@pytest.mark.parametrize(
    ("coefs", "noise_std", "covariance", "message"),
    [
        ([[[1.0]]], 0.0, None, "noise_std must be > 0"),
        ([[[1.0]]], [1.0, 2.0], None, "one number, or one for each of"),
        ([], 1.0, None, "at least one layer"),
        (
            [[[1.0, 2.0]], [[1.0]]],
            1.0,
            None,
            "Layer 2 must have coefs of",
        ),
        ([[[1.0]]], 1.0, np.eye(2), r"must have shape \(1, 1\)"),
        ([[[1.0]]], 1.0, [[-1.0]], "without negative eigenvalues"),
    ],
)
def test_linear_networks_that_do_not_fit_are_refused(
    coefs, noise_std, covariance, message
):
    with pytest.raises(ValueError, match=message):
        linear_network_mutual_info(coefs, noise_std, covariance)


@pytest.mark.parametrize("decibel", [0, 5, 10, 13, 15, 16, 20])
def test_bpsk_is_off_by_no_more_than_it_says(decibel):
    """Twin: log 2 less the mean of the log of 1 + e^(-2 a x), by mpmath."""
    with mpmath.workdps(30):
        a = mpmath.mpf(10) ** (mpmath.mpf(decibel) / 20)

        def integrand(x):
            return mpmath.npdf(x, a, 1) * mpmath.log1p(mpmath.exp(-2 * a * x))

        edges = [-20, -5, 0, a / 2, a, a + 5, a + 12]
        truth = float(mpmath.log(2) - mpmath.quad(integrand, edges))
    found = awgn_mutual_info([[-1.0], [1.0]], 10 ** (-decibel / 20))
    assert found.error < 1e-11
    assert abs(found - truth) <= found.error + 1e-15
