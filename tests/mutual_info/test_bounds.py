"""Bounds: the papers' digits, the formulas by hand, and exact cases in between."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import integrate, stats

from skib.mutual_info import awgn_mutual_info, bounds, gaussian_mixture_entropy

# --- the papers --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_features", "printed"),
    [
        (1, 7.41e-4),
        (2, 0.00166),
        (3, 0.00369),
        (5, 0.0179),
        (7, 0.0856),
        (9, 0.4025),
        (10, 0.869),
        (11, 1.871),
        (12, 4.02),
    ],
)
def test_digits_of_the_papers_table(n_features, printed):
    """Noise 1, 1e9 samples; the table prints three or four digits."""
    found = bounds.cube_risk_bound(1e9, n_features, noise_std=1.0)
    assert found == pytest.approx(printed, rel=3e-3)


@pytest.mark.parametrize(("n", "d", "s", "k"), [(10**6, 3, 0.5, 1.0), (500, 1, 1.5, 2)])
def test_subgaussian_bound_is_the_formula(n, d, s, k):
    w = (k + s) ** 2 * math.log(n) / ((math.e - 1) * math.pi * s**2)
    c = d / 2 * math.log(2 * math.pi * s**2)
    first = math.log(math.sqrt(n) * (8 * w) ** (d / 4)) * (2 * w) ** (d / 4)
    second = (c + 2 * d * k**2 / s**2) * (c + (2 * s**2 * d + 6 * d * k**2) / s**2)
    second += 8 * (16 * d**2 * k**4 + s**4 * d * (2 + d)) / s**4
    expected = first / math.sqrt(n) + second * 2 * math.e * d / n
    found = bounds.subgaussian_risk_bound(n, d, s, psi2_norm=k)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("d", "levels"), [(1, 3), (11, 3), (12, 2), (10_000, 2)])
def test_fano_bound_with_the_levels_of_the_paper(d, levels):
    """Noise 0.1, error probability 0.01: 3 levels up to 11 dimensions, then 2."""
    entropy = stats.entropy([0.01, 0.99])
    expected = max(0.0, 0.99 * d * math.log(levels) - math.log(7) - entropy)
    found = bounds.worst_case_bias_fano(7, d, 0.1, 0.01)
    assert found == pytest.approx(expected, abs=1e-12)
    assert entropy == pytest.approx(0.0560, abs=5e-5)


def test_fano_bound_refuses_errors_that_are_too_rare():
    with pytest.raises(ValueError, match=r"from 0\.0057"):
        bounds.worst_case_bias_fano(7, 10_000, 0.1, 0.0056)
    assert bounds.worst_case_bias_fano(7, 10, 0.1, 1.0) == 0.0


def test_monte_carlo_bounds_are_the_formulas():
    n, k, d, s, m = 300, 20, 5, 0.3, 2.5
    assert bounds.monte_carlo_mse_bound(n, k, d) == pytest.approx(d / (n * k))
    cube = 2 * d * (2 + s**2) / (s**2 * n * k)
    assert bounds.monte_carlo_mse_bound_cube(n, k, d, s) == pytest.approx(cube)
    moment = (9 * d * s**2 + 49 * m + 24 * s * math.sqrt(d * m)) / (s**2 * n * k)
    found = bounds.monte_carlo_mse_bound_moment(n, k, d, s, second_moment=m)
    assert found == pytest.approx(moment)


def test_mutual_information_bounds_are_the_formulas():
    ceiling = bounds.mutual_info_ceiling(4, 0.2)
    assert ceiling == pytest.approx(2 * math.log(1 + 1 / 0.04))
    found = bounds.mutual_info_risk_bound(0.1, 0.2, 4, 0.2, n_inputs=100)
    assert found == pytest.approx(0.3 + 4 * math.log(26) / (4 * 10))
    assert bounds.mutual_info_risk_bound(0.1, 0.2, 4, 0.2, None) == pytest.approx(0.3)


@pytest.mark.parametrize("noise_std", [0.05, 1.0])
def test_label_bound_is_the_formula(noise_std):
    n, d, p = 1000, 2, [0.2, 0.3, 0.5]
    flat = 2 * math.pi * math.e
    c = max(-math.log(flat * noise_std**2), math.log(flat * (1 + noise_std**2)))
    rare = math.log(1 + noise_std**-2) * math.exp(-n * 0.04 / 4)
    expected = 1 / n + c * math.sqrt(2 / n) + 3 * (rare + 1 / 100)
    found = bounds.label_mutual_info_risk_bound(lambda n: 1 / n, n, d, noise_std, p)
    assert found == pytest.approx(expected)


# --- the sharper ones --------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_features", "expected"),
    [(5, 3.4e-4), (7, 4.2e-4), (9, 0.0021), (10, 0.0091), (11, 0.043), (12, 0.195)],
)
def test_risk_bound_beats_the_papers_table(n_features, expected):
    chi_square = bounds.chi_square_of_cube(n_features, 1.0)
    found = bounds.risk_bound(1e9, chi_square)
    assert found == pytest.approx(expected, rel=0.03)
    assert found < bounds.cube_risk_bound(1e9, n_features, 1.0) / 2


def chi_square_by_quadrature(centers, noise_std, weights):
    """Twin in one dimension: integral of E[phi^2] / p, less one."""
    centers, weights = np.asarray(centers), np.asarray(weights)

    def integrand(t):
        kernels = stats.norm.pdf(t, centers, noise_std)
        density = weights @ kernels
        return (weights @ kernels**2) / density if density > 0 else 0.0

    low, high = centers.min() - 9 * noise_std, centers.max() + 9 * noise_std
    value, _ = integrate.quad(
        integrand, low, high, limit=2000, epsabs=1e-9, points=[low / 2 + high / 2]
    )
    return value - 1


@pytest.mark.parametrize("noise_std", [0.05, 0.2, 0.5, 1.0, 3.0])
def test_chi_square_of_points_in_the_interval(noise_std):
    """Every law on points of the interval obeys both bounds."""
    rng = np.random.default_rng(0)
    for n_atoms in (2, 5, 40):
        for centers in (np.linspace(-1, 1, n_atoms), rng.uniform(-1, 1, n_atoms)):
            found = chi_square_by_quadrature(
                centers, noise_std, np.full(n_atoms, 1 / n_atoms)
            )
            assert found <= bounds.chi_square_of_atoms(n_atoms) + 1e-6
            assert found <= bounds.chi_square_of_cube(1, noise_std)


def test_chi_square_of_a_gaussian():
    """A fine grid of points with normal weights is a Gaussian signal."""
    grid = np.linspace(-9, 9, 1500)
    weights = stats.norm.pdf(grid) / stats.norm.pdf(grid).sum()
    found = chi_square_by_quadrature(grid, 0.7, weights)
    expected = bounds.chi_square_of_gaussian([1.0], 0.7)
    assert expected == pytest.approx(found, rel=1e-3)
    both = bounds.chi_square_of_gaussian([1.0, 1.0], 0.7)
    assert 1 + both == pytest.approx((1 + expected) ** 2)


def test_chi_square_of_many_units_is_infinite_not_an_error():
    assert bounds.chi_square_of_cube(10_000, 0.01) == math.inf
    assert bounds.bias_bound(10, math.inf) == math.inf


def plug_in_moments(points, noise_std, n_samples):
    """Mean and sd of the plug-in over all samples of equally likely points: exact."""
    k = len(points)
    counts = [c for c in product(range(n_samples + 1), repeat=k) if sum(c) == n_samples]
    chance = np.array(
        [stats.multinomial.pmf(c, n_samples, np.full(k, 1 / k)) for c in counts]
    )
    plug_in = np.array(
        [gaussian_mixture_entropy(np.c_[points], noise_std, c) for c in counts]
    )
    mean = chance @ plug_in
    return mean, math.sqrt(chance @ (plug_in - mean) ** 2)


@pytest.mark.parametrize("points", [[-1.0, 1.0], [-1.0, 0.2, 1.0]])
@pytest.mark.parametrize("noise_std", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("n_samples", [2, 5, 12])
def test_exact_bias_and_deviation_keep_their_bounds(points, noise_std, n_samples):
    truth = gaussian_mixture_entropy(np.c_[points], noise_std)
    mean, deviation = plug_in_moments(points, noise_std, n_samples)
    k = len(points)
    chi_square = chi_square_by_quadrature(points, noise_std, np.full(k, 1 / k))
    assert 0 <= truth - mean <= bounds.bias_bound(n_samples, chi_square) + 1e-9
    assert truth - mean <= bounds.risk_bound(n_samples, k - 1)
    assert deviation <= bounds.deviation_bound(n_samples)


def test_bias_is_its_leading_term_for_many_samples():
    points, noise_std, n = [-1.0, 1.0], 0.6, 400
    truth = gaussian_mixture_entropy(np.c_[points], noise_std)
    mean, _ = plug_in_moments(points, noise_std, n)
    chi_square = chi_square_by_quadrature(points, noise_std, [0.5, 0.5])
    expected = bounds.leading_bias(n, chi_square)
    assert truth - mean == pytest.approx(expected, rel=0.02)


def test_deviation_probability_bound_on_an_exact_law():
    """Two points: the plug-in is a function of one binomial count."""
    n, points = 60, np.array([[-1.0], [1.0]])
    counts = np.arange(n + 1)
    chance = stats.binom.pmf(counts, n, 0.5)
    plug_in = np.array(
        [gaussian_mixture_entropy(points, 0.3, [c, n - c]) for c in counts]
    )
    strays = np.abs(plug_in - chance @ plug_in)
    for deviation in (0.01, 0.1, 0.3, 0.6):
        exceeds = chance[strays >= deviation].sum()
        assert exceeds <= bounds.deviation_probability_bound(n, deviation)
    assert bounds.deviation_probability_bound(n, 1.0) < 0.05
    assert bounds.deviation_probability_bound(n, 0.0) == 1.0


def mean_variance_of_log_density(centers, noise_std):
    """Variance of log g at noisy centres, averaged over centres, by quadrature."""
    z = np.linspace(-9, 9, 4001)
    weight = stats.norm.pdf(z) * (z[1] - z[0])
    variances = []
    for center in centers:
        t = center + noise_std * z[:, None]
        log_g = np.log(stats.norm.pdf(t, centers, noise_std).mean(1))
        mean = weight @ log_g
        variances.append(weight @ (log_g - mean) ** 2)
    return np.mean(variances)


@pytest.mark.parametrize("noise_std", [0.01, 0.1, 0.5, 2.0])
def test_monte_carlo_error_keeps_its_bounds(noise_std):
    centers = np.random.default_rng(0).uniform(-1, 1, 60)
    found = mean_variance_of_log_density(centers, noise_std)
    assert found <= bounds.monte_carlo_mse_bound(1, 1, 1) + 1e-9
    assert found <= bounds.monte_carlo_mse_bound_cube(1, 1, 1, noise_std)
    moment = float((centers**2).mean())
    assert found <= bounds.monte_carlo_mse_bound_moment(1, 1, 1, noise_std, moment)


@pytest.mark.parametrize("noise_std", [0.03, 0.1, 0.3, 1.0])
def test_sharper_worst_case_is_above_fano_and_below_the_truth(noise_std):
    n, d = 3, 6
    sharper = bounds.worst_case_bias(n, d, noise_std)
    floor = 1 - (1 - 2 * stats.norm.sf(0.5 / noise_std)) ** d
    for epsilon in np.linspace(floor + 1e-9, 1.0, 20):
        fano = bounds.worst_case_bias_fano(n, d, noise_std, epsilon)
        assert fano <= sharper + 1e-12
    assert sharper <= bounds.mutual_info_ceiling(d, noise_std)


def test_worst_case_is_a_real_law_s_bias():
    """Three levels, one dimension, two samples: enumerate the samples."""
    points, noise_std, n = np.linspace(-1, 1, 3), 0.2, 2
    truth = gaussian_mixture_entropy(np.c_[points], noise_std)
    mean, _ = plug_in_moments(points, noise_std, n)
    information = awgn_mutual_info(np.c_[points], noise_std)
    assert truth - mean >= information - math.log(n) > 0
    assert bounds.worst_case_bias(n, 1, noise_std) >= information - math.log(n)


@pytest.mark.parametrize("noise_std", [1e-3, 0.3, 1.0, 5.0, 1e3])
@pytest.mark.parametrize("n_features", [1, 2])
def test_pairwise_bounds_hold_the_exact_value(noise_std, n_features):
    rng = np.random.default_rng(0)
    points, weights = rng.standard_normal((25, n_features)), rng.dirichlet(np.ones(25))
    interval = bounds.pairwise_mutual_info_bounds(points, noise_std, weights)
    exact = awgn_mutual_info(points, noise_std, weights)
    slack = 1e-9 + exact.error
    assert interval.low - slack <= exact <= interval.high + slack


def test_pairwise_bounds_meet_where_points_are_far_apart_or_equal():
    far = bounds.pairwise_mutual_info_bounds([[0.0], [1e6], [2e6]], 1.0)
    assert far.low == pytest.approx(math.log(3)) == far.high
    equal = bounds.pairwise_mutual_info_bounds([[1.0], [1.0]], 1.0)
    assert equal.low == pytest.approx(0.0, abs=1e-15) == equal.high


# --- the planner -------------------------------------------------------------------


def test_a_plan_that_is_enough_keeps_its_promise_with_the_fewest_samples():
    plan = bounds.plan_sampling(0.05, n_features=2, noise_std=0.5)
    assert plan.verdict == "enough"
    assert plan.total <= 0.05
    chi_square = bounds.chi_square_of_cube(2, 0.5)
    share = 0.8 * 0.05
    assert bounds.risk_bound(plan.n_samples, chi_square) <= share
    assert bounds.risk_bound(plan.n_samples - 1, chi_square) > share
    assert "expected error stays within" in str(plan)


def test_a_hopeless_dimension_is_called_so():
    plan = bounds.plan_sampling(0.1, n_features=50, noise_std=0.1)
    assert plan.verdict == "hopeless"
    assert plan.n_samples == 10_000_000
    assert plan.worst_case_bias > 0.1
    assert "Hopeless in this dimension" in str(plan)


def test_between_the_two_nothing_is_promised():
    plan = bounds.plan_sampling(0.1, n_features=7, noise_std=0.4)
    assert plan.verdict == "not guaranteed"
    assert plan.total > 0.1 > plan.worst_case_bias
    assert "not guaranteed to be enough" in str(plan)


def test_knowing_the_law_makes_a_high_dimension_feasible():
    known = bounds.chi_square_of_atoms(4096)
    plan = bounds.plan_sampling(0.05, 784, 0.1, chi_square=known)
    assert plan.verdict == "enough"
    assert plan.n_mc * plan.n_samples >= 784 / (0.2 * 0.05) ** 2


# --- refusals ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bounds.cube_risk_bound(1, 1, 1.0), "n_samples must be .* >= 2"),
        (lambda: bounds.cube_risk_bound(10, 1.5, 1.0), "n_features must be a whole"),
        (lambda: bounds.cube_risk_bound(10, 1, 0.0), "noise_std must be > 0"),
        (lambda: bounds.bias_bound(10, -1.0), "chi_square must be a number from 0"),
        (lambda: bounds.bias_bound(10, math.nan), "chi_square must be a number"),
        (lambda: bounds.bias_bound(True, 1.0), "n_samples must be a whole number"),
        (lambda: bounds.chi_square_of_gaussian([-1.0], 1.0), "stds must be a row"),
        (lambda: bounds.plan_sampling(0.0, 1, 1.0), "error must be a number from"),
        (
            lambda: bounds.label_mutual_info_risk_bound(float, 9, 1, 1.0, [0.5, 0.4]),
            "class_probabilities must be > 0 with sum 1",
        ),
        (
            lambda: bounds.pairwise_mutual_info_bounds([[0.0]], 1.0, [-1.0]),
            "weights must be finite",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
