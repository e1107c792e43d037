import pickle
import time
from itertools import pairwise

import numpy as np
import pytest
import torch

from skib.datasets import make_szt
from skib.neural_network import NoisyMLPClassifier, NoisyMLPRegressor
from skib.recording import NetworkSnapshot, Recording, Snapshot

SIZES = [12, 10, 7, 5, 4, 3]
NOISE_STD = (0.1, 0.2, 0.3, 0.4, 0.5)


def random_weights(sizes=SIZES, dtype=np.float64, seed=0):
    random = np.random.RandomState(seed)
    shapes = list(pairwise(sizes))
    coefs = [random.normal(size=shape).astype(dtype) for shape in shapes]
    return coefs, [random.normal(size=n_out).astype(dtype) for _, n_out in shapes]


@pytest.fixture
def recording():
    epochs = [20, 10]
    weights = [random_weights(seed=epoch) for epoch in epochs]
    return Recording.from_weights(
        epochs,
        [coefs for coefs, _ in weights],
        [intercepts for _, intercepts in weights],
        activation="tanh",
        noise_std=NOISE_STD,
    )


@pytest.fixture(scope="module")
def fitted():
    X, y = make_szt()
    model = NoisyMLPClassifier(
        (5, 4),
        "tanh",
        noise_std=(0.1, 0.2),
        max_iter=3,
        n_iter_no_change=np.inf,
        record_epochs="log",
        random_state=0,
    )
    return model.fit(X, np.array(["no", "yes"], dtype=object)[y])


def noise_free(recording, X, epoch, layer):
    at = recording.epochs.tolist().index(epoch)
    values = X
    for coef, intercept in zip(
        recording.coefs[at][:layer], recording.intercepts[at][:layer], strict=True
    ):
        values = np.tanh(values @ coef + intercept)
    return values


def test_from_weights_sorts_epochs_and_copies(recording):
    assert recording.epochs.tolist() == [10, 20]
    assert recording.layer_sizes == (10, 7, 5, 4, 3)
    assert (recording.n_layers, recording.n_features_in) == (5, 12)
    np.testing.assert_array_equal(recording.coefs[1][0], random_weights(seed=20)[0][0])


def test_the_first_layer_is_the_noise_free_one_in_every_draw(recording):
    X, _ = make_szt()
    S = recording.activations(X[:50], epoch=20, layer=1, n_draws=3)
    assert S.shape == (50, 3, 10)
    expected = noise_free(recording, X[:50], 20, 1)
    np.testing.assert_allclose(S, np.repeat(expected[:, None], 3, axis=1), atol=1e-12)


def test_small_noise_moves_activations_as_the_jacobian_says():
    """Covariance of S_3 from noise in layers 1 and 2, to first order."""
    coefs, intercepts = random_weights([4, 3, 3, 2])
    stds = (1e-3, 2e-3, 9.0)  # the last comes after the layer that is looked at
    recording = Recording.from_weights(
        [1], [coefs], [intercepts], activation="tanh", noise_std=stds
    )
    x = np.random.RandomState(1).normal(size=(1, 4))
    S = recording.activations(x, epoch=1, n_draws=200_000, random_state=0)[0]
    slopes = [1 - noise_free(recording, x, 1, layer)[0] ** 2 for layer in (1, 2, 3)]
    from_2 = coefs[2] * slopes[2]
    from_1 = (coefs[1] * slopes[1]) @ from_2
    expected = stds[0] ** 2 * from_1.T @ from_1 + stds[1] ** 2 * from_2.T @ from_2
    np.testing.assert_allclose(np.cov(S.T), expected, rtol=0.03, atol=1e-9)
    np.testing.assert_allclose(S.mean(0), noise_free(recording, x, 1, 3)[0], atol=1e-4)


def test_draws_and_inputs_do_not_share_noise(recording):
    X = np.zeros((2000, 12))
    S = recording.activations(X, epoch=10, layer=2, n_draws=2, random_state=0)[..., 0]
    limit = 4 / np.sqrt(len(X))
    assert abs(np.corrcoef(S[:, 0], S[:, 1])[0, 1]) < limit
    assert abs(np.corrcoef(S[:-1, 0], S[1:, 0])[0, 1]) < limit


def test_without_n_draws_centers_are_exact(recording):
    X, _ = make_szt()
    exact = recording.activations(X[:50], epoch=10, layer=3, random_state=0)
    np.testing.assert_allclose(exact, noise_free(recording, X[:50], 10, 3), atol=1e-12)
    drawn = recording.activations(X[:50], epoch=10, layer=3, n_draws=1, random_state=0)
    assert drawn.shape == (50, 1, 5)
    assert np.abs(drawn[:, 0] - exact).max() > 0.01


def test_it_is_a_sequence_of_snapshots(recording):
    X, _ = make_szt()
    assert len(recording) == 2
    for epoch, snapshot in zip(recording.epochs, recording, strict=True):
        assert isinstance(snapshot, Snapshot)
        assert isinstance(snapshot, NetworkSnapshot)
        options = {"layer": 4, "n_draws": 2, "random_state": 0}
        np.testing.assert_array_equal(
            snapshot.activations(X, **options),
            recording.activations(X, epoch=epoch, **options),
        )
        assert snapshot.noise_std == NOISE_STD


def test_an_activation_for_each_layer_and_no_bias():
    coefs, _ = random_weights([2, 3, 2])
    recording = Recording.from_weights(
        [1], [coefs], None, activation=["tanh", "relu"], noise_std=0.1
    )
    X = np.array([[0.5, -1.0]])
    expected = np.maximum(np.tanh(X @ coefs[0]) @ coefs[1], 0)
    np.testing.assert_allclose(recording.transform(X, epoch=1), expected)


def test_random_state_fixes_the_noise(recording):
    X, _ = make_szt()
    draws = [
        recording.activations(X, epoch=10, n_draws=4, random_state=seed)
        for seed in (0, 0, np.random.RandomState(0), 1)
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    np.testing.assert_array_equal(draws[0], draws[2])
    assert not np.array_equal(draws[0], draws[3])


def test_the_number_of_threads_changes_nothing_and_is_left_alone(recording):
    X, _ = make_szt()
    before = torch.get_num_threads()
    draws = []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            draws.append(recording.activations(X, epoch=10, n_draws=8, random_state=0))
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*draws)


def test_tensors_in_tensors_out(recording):
    X, _ = make_szt()
    options = {"epoch": 10, "n_draws": 2, "random_state": 0}
    S = recording.activations(torch.tensor(X), **options)
    assert isinstance(S, torch.Tensor)
    np.testing.assert_array_equal(S, recording.activations(X, **options))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_numbers_of_the_cpu(recording):
    X, _ = make_szt()
    options = {"epoch": 10, "n_draws": 2, "random_state": 0}
    S = recording.activations(torch.tensor(X, device="cuda"), **options)
    assert S.device.type == "cuda"
    np.testing.assert_allclose(S.cpu(), recording.activations(X, **options), atol=1e-12)


def test_layers_count_from_either_end(recording):
    X, _ = make_szt()
    options = {"epoch": 10, "n_draws": 2, "random_state": 0}
    np.testing.assert_array_equal(
        recording.activations(X, layer=-2, **options),
        recording.activations(X, layer=4, **options),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epoch": 11}, "Epoch 11 was not recorded. Recorded epochs: 10, 20."),
        ({"epoch": 10, "layer": 0}, "hidden layers 1 to 5.*Got layer=0"),
        ({"epoch": 10, "layer": 6}, "hidden layers 1 to 5.*Got layer=6"),
        ({"epoch": 10, "layer": "last"}, "Got layer='last'"),
        ({"epoch": 10, "n_draws": 0}, "n_draws == 0, must be >= 1"),
    ],
)
def test_what_is_not_there_is_named(recording, options, message):
    with pytest.raises(ValueError, match=message):
        recording.activations(make_szt()[0], **options)


def test_inputs_must_fit_the_network(recording):
    with pytest.raises(ValueError, match=r"shape \(n_inputs, 12\).*Got shape \(4, 3\)"):
        recording.activations(np.zeros((4, 3)), epoch=10)
    with pytest.raises(ValueError, match="NaN"):
        recording.activations(np.full((4, 12), np.nan), epoch=10)


def test_hidden_layers_alone_predict_nothing(recording):
    X, _ = make_szt()
    with pytest.raises(ValueError, match="output='softmax'"):
        recording.predict_proba(X, epoch=10)
    with pytest.raises(ValueError, match="hidden layers only"):
        recording.predict(X, epoch=10)


def test_the_last_recorded_epoch_predicts_as_the_classifier(fitted):
    X, _ = make_szt()
    recording = fitted.recording_
    np.testing.assert_array_equal(
        recording.predict_proba(X, epoch=3), fitted.predict_proba(X)
    )
    np.testing.assert_array_equal(recording.predict(X, epoch=3), fitted.predict(X))
    np.testing.assert_array_equal(recording.classes, ["no", "yes"])


def test_the_classifier_and_its_recording_give_the_same_activations(fitted):
    X, _ = make_szt()
    options = {"layer": 2, "n_draws": 3, "random_state": 0}
    np.testing.assert_array_equal(
        fitted.activations(X, **options),
        fitted.recording_.activations(X, epoch=3, **options),
    )


def test_a_regression_is_recorded_too():
    X, y = make_szt()
    model = NoisyMLPRegressor(
        (3,), record_epochs=[2], max_iter=2, n_iter_no_change=np.inf
    ).fit(X, y)
    np.testing.assert_array_equal(
        model.recording_.predict(X, epoch=2), model.predict(X)
    )


@pytest.mark.parametrize("way", ["npz", "pickle"])
def test_saved_and_loaded_it_is_the_same(fitted, tmp_path, way):
    saved = fitted.recording_
    if way == "npz":
        saved.save(tmp_path / "recording")
        loaded = Recording.load(tmp_path / "recording")
    else:
        loaded = pickle.loads(pickle.dumps(saved))
    np.testing.assert_array_equal(loaded.epochs, saved.epochs)
    np.testing.assert_array_equal(loaded.classes, saved.classes)
    assert (loaded.activation, loaded.output) == (saved.activation, saved.output)
    assert loaded.noise_std == saved.noise_std
    X, _ = make_szt()
    for epoch in saved.epochs:
        options = {"epoch": epoch, "n_draws": 2, "random_state": 0}
        np.testing.assert_array_equal(
            loaded.activations(X, **options), saved.activations(X, **options)
        )


def test_a_file_with_pickles_is_not_read(tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(path, header=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        Recording.load(path)


def test_it_is_small(fitted):
    recording = fitted.recording_
    n_parameters = 13 * 5 + 6 * 4 + 5 * 2
    assert recording.nbytes == 4 * n_parameters * len(recording)


def weights_with(change):
    coefs, intercepts = random_weights([2, 3])
    options = {
        "epochs": [1],
        "coefs": [coefs],
        "intercepts": [intercepts],
        "activation": "tanh",
        "noise_std": 0.1,
    }
    return {**options, **change}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "sin"}, "activation must be one of.*Got activation='sin'"),
        ({"output": "sigmoid"}, "output must be one of None, 'identity', 'softmax'"),
        ({"noise_std": -1}, "noise_std must be a finite number >= 0"),
        ({"noise_std": [0.1, 0.2]}, "each of the 1 hidden layers. Got 2 numbers"),
        ({"epochs": [1, 2]}, "2 epochs, 1 coefs"),
        ({"epochs": [-1]}, "different numbers >= 0"),
        ({"epochs": [0.5]}, "whole ones"),
        ({"activation": ["tanh"] * 2}, "each of the 1 hidden layers. Got 2 names"),
        ({"coefs": [[np.zeros((2, 4))]]}, r"Layer 1 at epoch 1.*\(2, 4\) and \(3,\)"),
        ({"coefs": [[np.full((2, 3), np.inf)]]}, "Layer 1 at epoch 1 has NaN"),
        ({"coefs": [[]]}, "one coef and one intercept per layer"),
    ],
)
def test_weights_that_make_no_network_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Recording.from_weights(**weights_with(change))


def test_epochs_must_hold_one_architecture():
    small, large = random_weights([2, 3]), random_weights([2, 4])
    with pytest.raises(ValueError, match="layers of the same shapes"):
        Recording.from_weights(
            [1, 2],
            [small[0], large[0]],
            [small[1], large[1]],
            activation="tanh",
            noise_std=0.1,
        )


def test_half_a_million_passes_take_well_below_a_second():
    X, _ = make_szt()
    coefs, intercepts = random_weights(dtype=np.float32)
    recording = Recording.from_weights(
        [1], [coefs], [intercepts], activation="tanh", noise_std=0.005
    )
    start = time.process_time()
    S = recording.activations(X, epoch=1, n_draws=128, random_state=0)
    assert S.shape == (4096, 128, 3)
    assert time.process_time() - start < 1.0
