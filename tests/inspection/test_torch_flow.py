"""Information flow of torch modules: chains, probe noise, names, workers."""

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from skib import (
    BinnedMIEstimator,
    GaussianMixtureMIEstimator,
    InformationFlow,
    NetworkMIEstimator,
    NoisyMLPClassifier,
    information_flow,
    make_szt,
)
from skib.exceptions import SkibWarning
from skib.inspection import InformationFlowDisplay, InformationPlaneDisplay
from skib.inspection._fingerprint import fingerprint
from skib.mutual_info import awgn_mutual_info
from skib.recording import TorchRecorder

SZT, LABELS = make_szt()
SZT, LABELS = SZT[::16], LABELS[::16]
NOISE_STD = 0.2
SIZES = (10, 7, 5)


def same_network(recording, noise="all"):
    """The networks of a recording as a torch module under a recorder."""
    sizes = [recording.n_features_in, *recording.layer_sizes]
    pairs = [(nn.Linear(*shape), nn.Tanh()) for shape in itertools.pairwise(sizes)]
    net = nn.Sequential(*itertools.chain(*pairs), nn.Linear(sizes[-1], 2))
    names = [str(2 * layer + 1) for layer in range(len(pairs))]
    recorder = TorchRecorder(net, names, noise_std=recording.noise_std, noise=noise)
    for e, epoch in enumerate(recording.epochs):
        with torch.no_grad():
            for layer in range(len(pairs) + 1):
                weight, bias = (
                    recording.coefs[e][layer].T,
                    recording.intercepts[e][layer],
                )
                net[2 * layer].weight.copy_(torch.tensor(weight))
                net[2 * layer].bias.copy_(torch.tensor(bias))
        recorder.record(epoch)
    return recorder


@pytest.fixture(scope="module")
def fitted():
    model = NoisyMLPClassifier(
        SIZES,
        "tanh",
        noise_std=NOISE_STD,
        max_iter=3,
        n_iter_no_change=np.inf,
        record_epochs=[0, 3],
        random_state=0,
    )
    return model.fit(SZT, LABELS)


@pytest.fixture(scope="module")
def recorder(fitted):
    return same_network(fitted.recording_)


def flow_of(recording, X=SZT, y=LABELS, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkibWarning)
        return information_flow(recording, X, y, random_state=0, **options)


@pytest.mark.parametrize(
    "estimator",
    [
        NetworkMIEstimator(n_mc=16, n_draws=16),
        GaussianMixtureMIEstimator(n_mc=4, n_draws=16),
        BinnedMIEstimator(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_chain_has_the_flow_of_the_classifier(fitted, recorder, estimator):
    expected = flow_of(fitted, estimator=estimator)
    found = flow_of(recorder, estimator=estimator)
    assert list(found.columns) == list(expected.columns)
    for name, values in expected.columns.items():
        if values.dtype.kind == "U":
            np.testing.assert_array_equal(found.columns[name], values)
        else:
            np.testing.assert_allclose(found.columns[name], values, atol=1e-6)


def test_layers_have_their_names_all_the_way(recorder, tmp_path):
    estimator = NetworkMIEstimator(n_mc=4, n_draws=8)
    flow = flow_of(recorder, layers=["5", 1], estimator=estimator)
    assert flow.layers.tolist() == ["5", "1"]
    assert flow.to_frame()["layer"].tolist() == ["5", "1", "5", "1"]
    flow.save(tmp_path / "flow.npz")
    loaded = InformationFlow.load(tmp_path / "flow.npz")
    assert loaded == flow
    assert loaded.layers.tolist() == ["5", "1"]
    lines = InformationFlowDisplay.from_flow(flow).plot().lines_
    assert [line.get_label() for line in lines] == ["layer 5", "layer 1"]
    InformationPlaneDisplay.from_flow(flow).plot()
    everything = flow_of(recorder, estimator=estimator)
    assert everything.layers.tolist() == ["1", "3", "5"]
    np.testing.assert_allclose(
        everything.mutual_info[:, [2, 0]], flow.mutual_info, atol=1e-12
    )
    with pytest.raises(ValueError, match="one of 1, 3, 5, or its place"):
        flow_of(recorder, layers=["fc1"])


class LinearResidual(nn.Module):
    """No chain, but its law is Gaussian around each centre."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.branch = nn.Linear(3, 3)
        self.last = nn.Linear(3, 2)

    def forward(self, X):
        hidden = self.first(X)
        return self.last(hidden + self.branch(hidden))


@pytest.mark.parametrize("seed", range(3))
def test_a_module_that_is_no_chain_has_its_exact_information(seed):
    torch.manual_seed(seed)
    net = LinearResidual()
    for parameter in net.parameters():
        parameter.data.mul_(1.5)
    recorder = recorded(net, ["first", "branch", "last"], noise_std=0.3)
    X = np.random.RandomState(seed).randn(60, 3)
    flow = flow_of(recorder, X, None)
    assert "does not take" in flow.provenance["not_read_as_a_chain"]
    last, branch = (part.weight.detach().numpy() for part in (net.last, net.branch))
    slopes = np.hstack([last @ (np.eye(3) + branch), last])
    root = np.linalg.cholesky(slopes @ slopes.T + np.eye(2))
    centres = recorder.transform(X, epoch=0) @ np.linalg.inv(root).T
    truth = awgn_mutual_info(centres, 0.3)
    error = flow.mutual_info_std_error[0, 2]
    assert error < 0.02
    assert flow.mutual_info[0, 2] == pytest.approx(truth, abs=4 * error)


class CNN(nn.Module):
    """Digits of 26 x 26: 4 maps of 24 x 24 are a layer of 2,304 units."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.act = nn.Tanh()
        self.pool = nn.AvgPool2d(4)
        self.last = nn.Linear(144, 10)

    def forward(self, X):
        return self.last(self.pool(self.act(self.conv(X))).flatten(1))


def images(n, size=26, seed=0):
    return np.random.RandomState(seed).randn(n, 1, size, size).astype(np.float32)


def recorded(module, layers, **options):
    recorder = TorchRecorder(module, layers, **options)
    recorder.record(0)
    return recorder


def test_probe_noise_in_2304_units_against_a_dense_twin():
    """T moves within the span of the centres; the twin knows nothing of that."""
    torch.manual_seed(0)
    net, X, noise_std = CNN(), images(1000), 12.0
    recorder = recorded(net, ["act"], noise_std=noise_std, noise="probe")
    flow = flow_of(recorder, X, None, estimator=GaussianMixtureMIEstimator(n_mc=4))
    centres = net.act(net.conv(torch.tensor(X))).detach().flatten(1).double().numpy()
    assert centres.shape == (1000, 2304)
    found = recorder.at(0).activations(X, layer="act")
    np.testing.assert_allclose(found, centres, atol=1e-6)
    estimator = GaussianMixtureMIEstimator(noise_std, n_mc=2, random_state=0).fit(found)
    random = np.random.RandomState(1)
    terms, log_densities = [], []
    for _ in range(4):
        noise = random.randn(1000, 2304)
        T = centres + noise_std * noise
        squared = (T**2).sum(1)[:, None] - 2 * T @ centres.T + (centres**2).sum(1)
        exponents = -squared / (2 * noise_std**2)
        top = exponents.max(1)
        log_sum = top + np.log(np.exp(exponents - top[:, None]).mean(1))
        terms.append(-0.5 * (noise**2).sum(1) - log_sum)
        constant = -1152 * math.log(2 * math.pi * noise_std**2)
        log_densities.append(log_sum + constant)
    np.testing.assert_allclose(estimator.score_samples(T), log_densities[-1], atol=1e-3)
    terms = np.array(terms)
    # The inputs are all of the law: only the noise is sampled.
    std_error = terms.std(axis=0, ddof=1).mean() / math.sqrt(terms.size)
    error = math.hypot(std_error, flow.mutual_info_std_error[0, 0])
    assert 0.3 < terms.mean() < 6.5
    assert not flow.saturated[0, 0]
    assert flow.mutual_info[0, 0] == pytest.approx(terms.mean(), abs=4 * error)
    assert flow.provenance["noise"] == "probe"


def test_probe_noise_is_exact_behind_other_layers(fitted):
    """One centre per input: with all noise on, the layer would be moved by draws."""
    recorder = same_network(fitted.recording_, noise="probe")
    flow = flow_of(recorder, layers=["5"])
    assert flow.provenance["not_read_as_a_chain"] == "noise is at one layer only"
    centres = fitted.recording_.transform(SZT, epoch=3, layer=3)
    alone = GaussianMixtureMIEstimator(NOISE_STD, random_state=1).fit(centres, LABELS)
    error = math.hypot(flow.mutual_info_std_error[1, 0], alone.mutual_info_std_error_)
    assert flow.mutual_info[1, 0] == pytest.approx(alone.mutual_info_, abs=4 * error)
    assert flow.mutual_info_low[1, 0] == pytest.approx(
        flow.mutual_info_high[1, 0], abs=4 * error
    )


def test_components_are_a_lower_bound_that_grows():
    torch.manual_seed(0)
    net, X = CNN(), images(200)
    options = {"noise_std": 5.0, "noise": "probe"}
    options["reference"] = X
    flows = [
        flow_of(
            recorded(net, ["act"], n_components=k, **options),
            X,
            None,
            estimator=GaussianMixtureMIEstimator(n_mc=16),
        )
        for k in (1, 4, 16, 64, None)
    ]
    values = [flow.mutual_info[0, 0] for flow in flows]
    errors = [flow.mutual_info_std_error[0, 0] for flow in flows]
    for fewer, more in itertools.pairwise(range(5)):
        error = math.hypot(errors[fewer], errors[more])
        assert values[fewer] < values[more] + 3 * error
    assert values[0] + 0.1 < values[2] < values[-1]
    assert "lower" in flows[0].provenance["bound"]


@pytest.mark.parametrize("noise", ["all", "probe"])
def test_workers_and_memory_change_nothing(noise, tmp_path):
    torch.manual_seed(0)
    net, X = CNN(), images(20)
    estimator = GaussianMixtureMIEstimator(n_mc=2, n_draws=8)
    recorder = recorded(net, ["pool", "last"], noise_std=1.0, noise=noise)
    alone = flow_of(recorder, X, None, estimator=estimator)
    for options in ({"n_jobs": 2}, {"memory": str(tmp_path)}):
        assert flow_of(recorder, X, None, estimator=estimator, **options) == alone
    again = recorded(net, ["pool", "last"], noise_std=1.0, noise=noise)
    assert flow_of(again, X, None, estimator=estimator, memory=str(tmp_path)) == alone


class Scaled(nn.Linear):
    factor = 1.0

    def forward(self, values):
        return self.factor * super().forward(values)


def test_equal_content_has_equal_fingerprints():
    torch.manual_seed(0)
    net = nn.Sequential(Scaled(4, 3), nn.Tanh())
    options = {"noise_std": 0.1, "noise": "probe"}
    first = fingerprint(recorded(net, ["1"], **options).at(0))
    assert fingerprint(recorded(net, ["1"], **options).at(0)) == first
    others = [recorded(net, ["0"], **options)]
    others.append(recorded(net, ["1"], noise_std=0.2, noise="probe"))
    net[0].factor = 2.0
    others.append(recorded(net, ["1"], **options))
    net[0].factor = 1.0
    net[0].bias.data.add_(1e-3)
    others.append(recorded(net, ["1"], **options))
    found = {fingerprint(other.at(0)) for other in others}
    assert len({first, *found}) == 5


def test_what_is_no_recording_yet_is_refused_in_words():
    net = CNN()
    with pytest.raises(TypeError, match="TorchRecorder"):
        information_flow(net, images(5))
    recorder = TorchRecorder(net, ["act"], noise_std=0.1)
    with pytest.raises(ValueError, match="at least one epoch"):
        information_flow(recorder, images(5))
    recorder.record(0)
    with pytest.raises(ValueError, match="NaN"):
        information_flow(recorder, np.full((5, 1, 26, 26), np.nan))


def test_clustering_of_layers_by_name():
    """A recorder of named layers is a recording for every sweep."""
    from skib.inspection import clustering_flow

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2), torch.nn.Tanh()
    )
    X = np.random.RandomState(0).randn(30, 3)
    recorder = TorchRecorder(module, ["1", "3"], noise_std=0.1)
    recorder.record(0)
    flow = clustering_flow(recorder, X, np.arange(30) % 2, layers=["3"], random_state=0)
    assert flow.layers.tolist() == ["3"]
    assert flow.separation.shape == (1, 1)
