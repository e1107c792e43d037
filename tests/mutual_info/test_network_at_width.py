"""Information of wide layers, where the truth is known: linear nets, and blocks.

Blocks: each bit of the input feeds a network of its own, units shuffled within layers,
so that information is as many times that of one small network.
"""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import sem
from sklearn.datasets import load_digits

from skib import NetworkMIEstimator, Recording
from skib._numerics.decoder import ChainSize, Decoder, Temper
from skib._numerics.noisy_network import NoisyNetwork
from skib.exceptions import EstimateNotConvergedWarning
from skib.mutual_info import network_mutual_info
from skib.mutual_info._choice import chain_sizes, kernel_widths, within_bracket
from skib.mutual_info._decoded import DecodedLayer, Work
from skib.mutual_info._information import Estimate
from skib.mutual_info._input_law import InputLaw
from skib.mutual_info._network_reports import of_kernels

ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda v: np.maximum(v, 0),
    "leaky_relu": lambda v: np.where(v > 0, v, 0.01 * v),
}


def digits_net(n_units, n_layers=3, seed=0):
    random = np.random.RandomState(seed)
    X = load_digits().data[:600] / 16 - 0.5
    sizes = [64] + [n_units] * n_layers
    return X, [random.randn(a, b) / a**0.5 for a, b in itertools.pairwise(sizes)]


def linear_truth(X, coefs, noise_std, n_rounds=40):
    """All centres and the one covariance are known: Monte Carlo in whitened units."""
    mean, covariance = X, 0.0
    for coef in coefs:
        mean = mean @ coef
        covariance = coef.T @ covariance @ coef if np.ndim(covariance) else 0.0
        covariance = covariance + noise_std**2 * np.eye(coef.shape[1])
    white = torch.tensor(np.linalg.solve(np.linalg.cholesky(covariance), mean.T).T)
    generator = torch.Generator().manual_seed(7)
    terms = []
    for _ in range(n_rounds):
        t = white + torch.randn(white.shape, generator=generator, dtype=white.dtype)
        log_p = (-0.5 * torch.cdist(t, white) ** 2).log_softmax(1)
        terms.append((log_p.exp() * log_p).sum(1) + math.log(len(X)))
    terms = torch.cat(terms)
    return float(terms.mean()), float(terms.std() / len(terms) ** 0.5)


@pytest.mark.parametrize("n_units", [16, 32, 64])
@pytest.mark.parametrize("noise_std", [0.2, 1.0])
def test_linear_networks_are_exact(n_units, noise_std):
    X, coefs = digits_net(n_units)
    (third,) = network_mutual_info(
        coefs, None, X, activation="identity", noise_std=noise_std, layers=[3],
        random_state=0,
    )  # fmt: skip
    truth, error = linear_truth(X, coefs, noise_std, n_rounds=20)
    found = third.mutual_info
    assert found.std_error <= 0.01
    assert abs(found.value - truth) <= 0.01 + 2 * math.hypot(found.std_error, error)
    assert third.mutual_info_high.value - third.mutual_info_low.value <= 0.02
    noise = noise_std**2 * np.eye(n_units)
    covariance = noise
    for coef in coefs[1:]:
        covariance = coef.T @ covariance @ coef + noise
    of_noise = 0.5 * np.linalg.slogdet(2 * math.pi * math.e * covariance)[1]
    assert third.conditional_entropy.value == pytest.approx(of_noise, abs=1e-8)


def blocks(n_blocks, n_units, n_layers, seed, gain=1.5):
    """Return a small network, the whole, and all inputs."""
    random = np.random.RandomState(seed)
    sizes = [1] + [n_units] * n_layers
    small = [gain * random.randn(a, b) / a**0.5 for a, b in itertools.pairwise(sizes)]
    biases = [0.3 * random.randn(b) for b in sizes[1:]]
    before = np.arange(n_blocks)
    coefs, intercepts = [], []
    for coef, bias in zip(small, biases, strict=True):
        after = random.permutation(n_blocks * coef.shape[1])
        coefs.append(np.kron(np.eye(n_blocks), coef)[before][:, after])
        intercepts.append(np.tile(bias, n_blocks)[after])
        before = after
    X = np.array(list(itertools.product([-1.0, 1.0], repeat=n_blocks)))
    return (small, biases), (coefs, intercepts), X


def block_truth(small, biases, activation, noise_std, n_rounds=6):
    """Two inputs in few dimensions: kernel averages over thousands of passes.

    All points share their kernels: only fresh rounds show how far off the mean is.
    """
    means = [
        round_of_block(small, biases, activation, noise_std, random)
        for random in map(np.random.RandomState, range(n_rounds))
    ]
    return np.mean(means), sem(means)


def round_of_block(small, biases, activation, noise_std, random, n_points=4000):
    def passes(x):
        values = np.full((n_points, 1), x)
        for k, (coef, bias) in enumerate(zip(small, biases, strict=True)):
            if k:
                values = values + noise_std * random.randn(*values.shape)
            values = ACTIVATIONS[activation](values @ coef + bias)
        return torch.tensor(np.broadcast_to(values, (n_points, values.shape[1])).copy())

    terms = []
    for x in (-1.0, 1.0):
        made = passes(x)
        points = made + noise_std * torch.tensor(random.randn(*made.shape))
        log_p = [
            (-0.5 * (torch.cdist(points, passes(z)) / noise_std) ** 2).logsumexp(1)
            for z in (x, -x)
        ]
        terms.append(math.log(2) - torch.nn.functional.softplus(log_p[1] - log_p[0]))
    return float(torch.cat(terms).mean())


CASES = [
    ("tanh", 5, 4, 2, 0.5),
    ("relu", 5, 3, 2, 0.5),
    pytest.param("leaky_relu", 6, 2, 3, 0.5, marks=pytest.mark.slow),
    pytest.param("tanh", 8, 4, 3, 0.5, marks=pytest.mark.slow),
    pytest.param("relu", 8, 4, 3, 0.5, marks=pytest.mark.slow),
    pytest.param("leaky_relu", 10, 4, 2, 0.3, marks=pytest.mark.slow),
    pytest.param("tanh", 10, 3, 4, 0.3, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(
    ("activation", "n_blocks", "n_units", "n_layers", "noise_std"), CASES
)
def test_independent_blocks_add_up(activation, n_blocks, n_units, n_layers, noise_std):
    block, whole, X = blocks(n_blocks, n_units, n_layers, seed=3)
    truth, error = block_truth(*block, activation, noise_std)
    (last,) = network_mutual_info(
        *whole, X, X[:, 0] > 0, activation=activation, noise_std=noise_std,
        layers=[n_layers], random_state=0,
    )  # fmt: skip
    assert last.diagnostics["method"] == "decoder"
    low, value, high = (
        getattr(last, f"mutual_info{end}") for end in ("_low", "", "_high")
    )
    assert low.value <= value.value <= high.value
    whole_truth, whole_error = n_blocks * truth, n_blocks * error
    off = value.value - whole_truth
    assert abs(off) <= 0.02 + 3 * math.hypot(value.std_error, whole_error)
    assert low.value <= whole_truth + 3.5 * math.hypot(low.std_error, whole_error)
    assert high.value >= whole_truth - 3.5 * math.hypot(high.std_error, whole_error)
    # The label is one bit: it is known by its own block.
    label = last.label_mutual_info
    assert abs(label.value - truth) <= 0.02 + 3 * math.hypot(label.std_error, error)


@pytest.mark.parametrize(
    "size",
    [
        ChainSize(150, 64, 8),
        ChainSize(150, 32, 8, "pair"),
        ChainSize(100, 2, 4, "anneal"),
    ],
    ids=lambda size: size.way,
)
def test_every_way_from_above_holds_the_truth(size, monkeypatch):
    monkeypatch.setattr("skib.mutual_info._network.chain_sizes", lambda _: [size])
    block, whole, X = blocks(4, 2, 2, seed=1)
    truth, error = (4 * value for value in block_truth(*block, "tanh", 0.5))
    (last,) = network_mutual_info(
        *whole, X, X[:, 0] > 0, activation="tanh", noise_std=0.5, layers=[2],
        random_state=0,
    )  # fmt: skip
    assert last.diagnostics["method"] == "decoder"
    low, value, high = (
        getattr(last, f"mutual_info{end}") for end in ("_low", "", "_high")
    )
    # By few chains the ends may meet.
    assert low.value <= high.value < last.input_entropy
    assert abs(value.value - truth) <= 0.02 + 3 * math.hypot(value.std_error, error)
    assert high.value >= truth - 3.5 * math.hypot(high.std_error, error)
    label = last.label_mutual_info
    assert abs(label.value - truth / 4) <= 0.02 + 3 * math.hypot(
        label.std_error, error / 4
    )


def test_costlier_ways_are_tried_last_and_where_they_can_be_afforded():
    def ways(coefs):
        recording = Recording.from_weights(
            [0], [coefs], None, activation="tanh", noise_std=0.5
        )
        return [size.way for size in chain_sizes(recording.at(0).network)]

    assert ways(small_net()[0]) == ["shift", "shift", "pair", "shift", "anneal"]
    assert ways(digits_net(64)[1]) == ["shift", "shift", "shift"]


@pytest.mark.parametrize(
    ("gaps", "chosen"),
    [
        ([0.004, 0.0, 0.0], 0),  # quick, and next to nothing is left
        ([0.010, 0.009, 0.0], 1),  # what would do of a longer one does not of a quick
        ([0.010, 0.050, 0.040], 0),
        ([0.090, 0.050, 0.040], 2),
    ],
)
def test_chains_are_tried_until_one_is_close(gaps, chosen, monkeypatch):
    sizes = [ChainSize(300, n_steps, 16) for n_steps in (32, 128, 1024)]
    by_steps = {
        size.n_steps: torch.tensor([gap]) for size, gap in zip(sizes, gaps, strict=True)
    }
    monkeypatch.setattr(
        DecodedLayer,
        "_gaps",
        lambda _self, _decoder, size, _seed: SimpleNamespace(
            full=by_steps[size.n_steps]
        ),
    )
    decoded = DecodedLayer(None, None, None, 2)
    size, gap = decoded._closest_chain(Decoder(None, Temper()), sizes, 0)
    assert (size, gap) == (sizes[chosen], pytest.approx(gaps[chosen]))


@pytest.mark.parametrize("helpful", [True, False])
def test_bends_are_corrected_where_that_decodes_better(helpful, monkeypatch):
    _, (coefs, intercepts), X = blocks(6, 3, 3, seed=0)
    noise_std, uniform = 0.5, torch.full((64, 1), 1 / 64, dtype=torch.float64)
    network = NoisyNetwork(
        *([torch.tensor(part) for part in parts] for parts in (coefs, intercepts)),
        ("tanh",) * 3,
        (noise_std,) * 3,
    )
    layer = DecodedLayer(network, torch.tensor(X), InputLaw(uniform, False), 3)
    monkeypatch.setattr(
        DecodedLayer, "_gaps", lambda *_: SimpleNamespace(full=torch.tensor([0.05]))
    )
    sizes = chain_sizes(network)
    if not helpful:
        generator = torch.Generator().manual_seed(0)
        monkeypatch.setattr(
            "skib._numerics.decoder.scores.bend_values",
            lambda _, nodes: torch.randn(64, 18 * len(nodes), generator=generator),
        )
        assert layer.plan(sizes, 0).decoder.scorer is layer.scorer
        return
    bent = layer.plan(sizes, 0)
    monkeypatch.setitem(vars(layer), "bent_scorer", None)
    plain = layer.plan(sizes, 0)
    assert plain.decoder.scorer is layer.scorer
    better, worse = (
        layer.estimate(
            plan._replace(above="ceiling"), Work(100, plan.size), 1
        ).estimates["mutual_info_low"]
        for plan in (bent, plain)
    )
    assert better.value > worse.value + 0.01


def test_a_layer_does_not_depend_on_those_after_it():
    """Up to the second layer it is linear, whatever comes then."""
    recording = Recording.from_weights(
        [0], [[[[1.0]], [[2.0]], [[1.5]]]], None,
        activation=["identity", "identity", "tanh"], noise_std=0.5,
    )  # fmt: skip
    estimator = NetworkMIEstimator()
    one, (other, _) = (
        estimator.estimate(recording.at(0), [[0.3]], layers=layers, random_state=0)
        for layers in ([2], [2, 3])
    )
    assert one[0].conditional_entropy == other.conditional_entropy


def test_what_a_bracket_of_kernels_leaves_open_counts_for_tol():
    ends = {"mutual_info_low": 1.0, "mutual_info_high": 1.5}
    means = SimpleNamespace(
        n_samples=8,
        estimate=lambda name: Estimate(ends.get(name, 1.2), 0.003),
        std_error=lambda name: 0.003,
        mean=lambda name: 0.01,
    )
    uniform = torch.full((64, 1), 1 / 64, dtype=torch.float64)
    passes = SimpleNamespace(
        network=SimpleNamespace(layer_sizes=(5, 5)), law=InputLaw(uniform, False)
    )
    (limit,) = of_kernels(means, passes, 2, 0.01).limits
    assert isinstance(limit, EstimateNotConvergedWarning)
    assert "Raise n_draws" in str(limit)
    assert of_kernels(means, passes, 2, 0.1).limits == ()


@pytest.fixture
def little_work(monkeypatch):
    """Do with a tenth of the chains, and without the costliest ways."""
    monkeypatch.setattr("skib.mutual_info._choice.MOST_CHAINS", 100)
    monkeypatch.setattr("skib.mutual_info._choice.FEWEST_CHAINS", 100)
    monkeypatch.setattr("skib.mutual_info._choice.FEWEST_PAIR_CHAINS", 100)
    monkeypatch.setattr("skib.mutual_info._choice.N_STEPS", 32)
    monkeypatch.setattr("skib.mutual_info._choice.N_PAIR_STEPS", 16)
    monkeypatch.setattr("skib.mutual_info._choice.N_LONG_STEPS", 32)
    monkeypatch.setattr("skib.mutual_info._choice.FEWEST_ANNEALED", math.inf)


def small_net(seed=2, sizes=(5, 12, 12, 12)):
    random = np.random.RandomState(seed)
    coefs = [1.5 * random.randn(a, b) / a**0.5 for a, b in itertools.pairwise(sizes)]
    return coefs, random.randn(64, sizes[0])


OPTIONS = {"noise_std": 0.4, "layers": [3], "random_state": 0}


def test_units_may_be_permuted(little_work):
    coefs, X = small_net()
    random = np.random.RandomState(0)
    (before,) = network_mutual_info(coefs, None, X, **OPTIONS)
    orders = [random.permutation(12) for _ in range(3)]
    permuted = [coefs[0][:, orders[0]]]
    for coef, one, other in zip(coefs[1:], orders, orders[1:], strict=False):
        permuted.append(coef[one][:, other])
    (after,) = network_mutual_info(permuted, None, X, **OPTIONS)
    error = math.hypot(before.mutual_info.std_error, after.mutual_info.std_error)
    assert abs(before.mutual_info.value - after.mutual_info.value) <= 3 * error
    error = before.mutual_info_low.std_error
    off = before.mutual_info_low.value - after.mutual_info_low.value
    assert abs(off) <= 4 * error


def test_numbers_follow_from_seed_and_layer(little_work):
    coefs, X = small_net()
    (alone,) = network_mutual_info(coefs, None, X, **OPTIONS)
    *_, among = network_mutual_info(coefs, None, X, **{**OPTIONS, "layers": [1, 2, 3]})
    assert alone == among
    (threaded,) = network_mutual_info(coefs, None, X, n_jobs=2, **OPTIONS)
    assert threaded.mutual_info.value == pytest.approx(
        alone.mutual_info.value, abs=1e-6
    )
    (other,) = network_mutual_info(coefs, None, X, **{**OPTIONS, "random_state": 1})
    assert other.mutual_info.value != alone.mutual_info.value


def test_what_is_chosen_is_chosen_on_other_points(little_work):
    """The pilot's seeds are its own: more passes change no choice."""
    coefs, X = small_net()
    few, many = (
        network_mutual_info(coefs, None, X, n_mc=n, **OPTIONS)[0] for n in (16, 64)
    )
    assert few.mutual_info_low.value != many.mutual_info_low.value
    gap = few.mutual_info_high.value - few.mutual_info_low.value
    # The chain's points are not the decoder's: its gap is the same.
    assert many.mutual_info_high.value - many.mutual_info_low.value == pytest.approx(
        gap, abs=1e-9
    )


def test_weights_and_labels_that_are_coins(little_work):
    coefs, X = small_net()
    twice = np.repeat(X, 2, axis=0)
    coin = np.tile([0, 1], len(X))
    (found,) = network_mutual_info(coefs, None, twice, coin, **OPTIONS)
    (once,) = network_mutual_info(coefs, None, X, **OPTIONS)
    assert found.mutual_info_low.value == pytest.approx(once.mutual_info_low.value)
    label = found.label_mutual_info
    assert abs(label.value) <= 3 * label.std_error + 1e-6
    weights = np.linspace(0.1, 2, len(X))
    (weighed,) = network_mutual_info(coefs, None, X, None, weights, **OPTIONS)
    assert 0 < weighed.mutual_info_low.value < weighed.input_entropy


def test_earlier_layers_know_no_less(little_work):
    coefs, X = small_net()
    layers = network_mutual_info(coefs, None, X, noise_std=0.4, random_state=0)
    for one, other in itertools.pairwise(i.mutual_info for i in layers):
        error = math.hypot(one.std_error, other.std_error)
        assert other.value <= one.value + 3 * error


def test_tol_adds_work_or_says_what_is_missing(little_work):
    coefs, X = small_net(sizes=(5, 12, 12))
    options = {"noise_std": 0.5, "layers": [2], "random_state": 0}
    (plain,) = network_mutual_info(coefs, None, X, **options)
    tol = 0.7 * max(
        plain.mutual_info.std_error,
        0.5 * (plain.mutual_info_high.value - plain.mutual_info_low.value),
    )
    (found,) = network_mutual_info(coefs, None, X, tol=tol, **options)
    width = found.mutual_info_high.value - found.mutual_info_low.value
    reached = found.mutual_info.std_error <= tol and width / 2 <= tol
    said = any(isinstance(w, EstimateNotConvergedWarning) for w in found.limits)
    assert reached != said
    (missed,) = network_mutual_info(
        coefs, None, X, tol=1e-4, max_samples=1000, **options
    )
    (limit,) = missed.limits
    assert isinstance(limit, EstimateNotConvergedWarning)
    assert "above tol=0.0001" in str(limit)


def test_kernels_are_out_of_the_question_where_densities_or_units_say_so():
    looked_at = []

    def pilot(layers, groups, seed):
        looked_at.extend(layers)
        # A narrow bracket; estimates of log p(t | x) that are apart, and close.
        return iter([(2, 0.001, 0.5), (3, 0.5, 0.1)])

    uniform = torch.full((64, 1), 1 / 64, dtype=torch.float64)
    passes = SimpleNamespace(
        network=SimpleNamespace(
            layer_sizes=(9, 5, 5, 17, 5),
            up_to=lambda layer: SimpleNamespace(is_linear=layer == 5),
        ),
        law=InputLaw(uniform, False),
        pilot=pilot,
    )
    widths = kernel_widths(passes, [2, 3, 4, 5], 0)
    left = pytest.approx(0.5 - 0.05 * math.log(64))
    assert widths == {2: math.inf, 3: left, 4: math.inf, 5: math.inf}
    assert looked_at == [2, 3]


@pytest.mark.parametrize(
    ("n_units", "left_open"), [(3, 0.0), (5, 0.0), (7, 0.3 - 0.02 * 8), (12, 0.3)]
)
def test_errors_hold_what_kernels_leave_open(n_units, left_open):
    """Of a bracket of .3 nats, where H(X) is 8."""
    names = ("mutual_info", "entropy", "label_mutual_info", "label_conditional_entropy")
    estimates = dict.fromkeys(names, Estimate(4.1, 0.03))
    estimates["mutual_info_low"] = Estimate(4.0, 0.02)
    estimates["mutual_info_high"] = Estimate(4.3, 0.02)
    found = within_bracket(estimates, n_units, 8.0)
    expected = math.hypot(0.03, left_open / math.sqrt(12))
    for name in names:
        assert found[name].value == 4.1
        assert found[name].std_error == pytest.approx(expected)
    assert found["mutual_info_low"] == Estimate(4.0, 0.02)


def test_kernels_and_decoder_agree_in_few_units(monkeypatch, little_work):
    coefs, X = small_net(sizes=(4, 6, 5, 4))
    options = {**OPTIONS, "noise_std": 0.2}
    (kernels,) = network_mutual_info(coefs, None, X, **options)
    assert kernels.diagnostics["method"] == "kernels"
    monkeypatch.setattr(
        "skib.mutual_info._network.kernel_widths",
        lambda passes, layers, seed: dict.fromkeys(layers, math.inf),
    )
    (decoder,) = network_mutual_info(coefs, None, X, **options)
    assert decoder.diagnostics["method"] == "decoder"
    for name in ("mutual_info", "conditional_entropy", "entropy"):
        one, other = getattr(kernels, name), getattr(decoder, name)
        error = math.hypot(one.std_error, other.std_error)
        assert error < 0.1, name
        assert abs(one.value - other.value) <= 0.01 + 3 * error, name
