"""What networks are given: names, tensors of any kind, read-only memory."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from skib.neural_network import NoisyMLPClassifier, NoisyMLPRegressor, fit_seeds
from skib.recording import Recording

X = np.random.RandomState(0).normal(size=(40, 3))
y = (X[:, 0] > 0).astype(int)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
OPTIONS = {"max_iter": 2, "n_iter_no_change": np.inf, "random_state": 0}


def make_classifier(**options):
    options = {"record_epochs": "log", **OPTIONS, **options}
    return NoisyMLPClassifier((4, 3), "tanh", **options)


FITTED = make_classifier().fit(X, y)
REGRESSOR = NoisyMLPRegressor((4,), **OPTIONS).fit(X, X[:, 0])
RECORDING = FITTED.recording_

DOORS = {
    "fit": lambda v: make_classifier().fit(v, y).coefs_[0],
    "partial_fit": lambda v: make_classifier().partial_fit(v, y, classes=[0, 1]).loss_,
    "fit_seeds": lambda v: fit_seeds(make_classifier(), v, y, random_states=1)[0].loss_,
    "predict": FITTED.predict,
    "predict_proba": FITTED.predict_proba,
    "predict_log_proba": FITTED.predict_log_proba,
    "score": lambda v: FITTED.score(v, y),
    "transform": FITTED.transform,
    "activations": lambda v: FITTED.activations(v, n_draws=2, random_state=0),
    "sample_proba": lambda v: FITTED.sample_proba(v, n_draws=2, random_state=0),
    "sample_y": lambda v: REGRESSOR.sample_y(v, n_draws=2, random_state=0),
    "recording.activations": lambda v: RECORDING.activations(v, epoch=2),
    "recording.transform": lambda v: RECORDING.transform(v, epoch=2),
    "recording.predict": lambda v: RECORDING.predict(v, epoch=2),
    "recording.predict_proba": lambda v: RECORDING.predict_proba(v, epoch=2),
    "snapshot.transform": lambda v: RECORDING.at(2).transform(v),
}
COARSE = torch.tensor(X).bfloat16()

TAKEN = {
    "requires_grad": (torch.tensor(X, requires_grad=True), X),
    "float32": (torch.tensor(X).float(), X.astype(np.float32)),
    "bfloat16": (COARSE, COARSE.float().numpy()),
    "float16": (COARSE.half(), COARSE.half().numpy().astype(np.float32)),
    "integers": (torch.tensor(X * 9).long(), (X * 9).astype(int)),
}
REFUSED = {
    "complex": (torch.tensor(X) + 0j, "Complex data not supported: X must hold real"),
    "nan": (torch.full((40, 3), torch.nan), "NaN"),
    "sparse": (torch.tensor(X).to_sparse(), "X must be a dense tensor.*to_dense"),
    "meta": (torch.tensor(X).to("meta"), "X must be a dense tensor.*'meta'"),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", TAKEN)
def test_tensors_are_as_good_as_arrays(door, kind):
    tensor, array = TAKEN[kind]
    np.testing.assert_allclose(DOORS[door](tensor), DOORS[door](array), atol=1e-6)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", REFUSED)
def test_tensors_without_real_numbers_are_refused(door, kind):
    tensor, message = REFUSED[kind]
    with pytest.raises(ValueError, match=message):
        DOORS[door](tensor)


def test_labels_and_weights_may_be_tensors():
    weights = torch.linspace(1, 2, 40, requires_grad=True)
    found = make_classifier().fit(X, torch.tensor(y).bfloat16(), weights)
    expected = make_classifier().fit(X, y, np.linspace(1, 2, 40))
    np.testing.assert_allclose(found.coefs_[0], expected.coefs_[0], atol=1e-6)
    with pytest.raises(ValueError, match="y must be a dense tensor"):
        make_classifier().fit(X, torch.tensor(y, device="meta"))
    with pytest.raises(ValueError, match="sample_weight must be a dense tensor"):
        make_classifier().fit(X, y, weights.to("meta"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_only_ratios_of_weights_count_where_nothing_else_does(dtype):
    """Weights that overflow in a sum; the penalty alone depends on their scale."""
    ratios = np.linspace(0.1, 1, 40)
    models = [
        make_classifier(dtype=dtype, alpha=0).fit(X, y, scale * ratios)
        for scale in (1.0, 1e307, 1e-300)
    ]
    for model in models[1:]:
        np.testing.assert_allclose(model.loss_, models[0].loss_, rtol=1e-6)


# -- weights ----------------------------------------------------------------------

MODULE = torch.nn.Sequential(
    torch.nn.Linear(3, 4), torch.nn.GELU(), torch.nn.Linear(4, 2), torch.nn.ELU()
)


def recording_of_module(change=lambda tensor: tensor, **options):
    linears = list(MODULE)[::2]
    return Recording.from_weights(
        torch.tensor([5]),
        [[change(linear.weight.T) for linear in linears]],
        [[change(linear.bias) for linear in linears]],
        **{"activation": ("gelu", "elu"), "noise_std": 0.1, **options},
    )


def test_weights_may_be_those_of_a_module_in_training(tmp_path):
    recording = recording_of_module()
    expected = MODULE(torch.tensor(X).float()).detach()
    np.testing.assert_allclose(recording.transform(X, epoch=5), expected, atol=1e-6)
    recording.save(tmp_path / "module")
    loaded = Recording.load(tmp_path / "module")
    assert loaded.activation == ("gelu", "elu")
    np.testing.assert_array_equal(
        loaded.transform(X, epoch=5), recording.transform(X, epoch=5)
    )


def test_half_weights_are_kept_in_float32():
    recording = recording_of_module(lambda tensor: tensor.bfloat16())
    assert recording.coefs[0][0].dtype == np.float32


@pytest.mark.parametrize(
    "noise_std",
    [
        torch.tensor(0.5, requires_grad=True),
        [torch.tensor(0.5), 0.5],
        torch.nn.Parameter(torch.tensor([0.5, 0.5])),
        np.array(0.5),
    ],
)
def test_noise_may_be_a_tensor(noise_std):
    assert recording_of_module(noise_std=noise_std).noise_std == (0.5, 0.5)
    model = NoisyMLPClassifier((4, 3), "tanh", noise_std=noise_std, **OPTIONS)
    assert model.fit(X, y)._snapshot().noise_std == (0.5, 0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"change": lambda w: w + 0j}, "Complex data not supported: weights"),
        ({"change": lambda w: w.to("meta")}, "weights must be a dense tensor"),
        ({"change": lambda w: w * torch.nan}, "has NaN or infinity among its weights"),
        ({"change": lambda w: w.detach().numpy().astype(str)}, "real numbers. Got <U"),
        ({"noise_std": torch.tensor(torch.nan)}, "noise_std must be a finite number"),
        ({"activation": None}, "activation must be one of.*Got activation=None"),
    ],
)
def test_weights_without_real_numbers_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        recording_of_module(**options)


@pytest.mark.parametrize("epochs", [[np.inf], [1 + 0j], [True], 1, ["one"]])
def test_epochs_are_counted(epochs):
    with pytest.raises(ValueError, match="different numbers >= 0, whole ones"):
        Recording.from_weights(
            epochs, [[np.eye(2)]], None, activation="tanh", noise_std=0.1
        )


# -- names of columns --------------------------------------------------------------

WRONG_FRAMES = {
    "another order": (FRAME[["c", "b", "a"]], "must be in the same order"),
    "other names": (FRAME.rename(columns={"a": "d"}), "Feature names unseen.*\n- d"),
    "one missing": (FRAME[["a", "b"]], "seen at fit time, yet now missing:\n- c"),
}


@pytest.fixture(scope="module")
def named():
    return make_classifier().fit(FRAME, y)


@pytest.mark.parametrize("way", ["fitted", "saved", "pickled", "warm", "partial"])
@pytest.mark.parametrize("kind", WRONG_FRAMES)
def test_a_recording_refuses_other_columns(named, way, kind, tmp_path):
    recording = named.recording_
    if way == "saved":
        recording.save(tmp_path / "named")
        recording = Recording.load(tmp_path / "named")
    elif way == "pickled":
        recording = pickle.loads(pickle.dumps(recording))
    elif way == "warm":
        twice = make_classifier(warm_start=True).fit(FRAME, y).fit(FRAME, y)
        recording = twice.recording_
    elif way == "partial":
        recording = make_classifier().partial_fit(FRAME, y, classes=[0, 1]).recording_
    assert recording.feature_names_in_.tolist() == ["a", "b", "c"]
    epoch = int(recording.epochs[-1])
    wrong, message = WRONG_FRAMES[kind]
    for owner, options in ((recording, {"epoch": epoch}), (recording.at(epoch), {})):
        for method in ("activations", "transform", "predict", "predict_proba"):
            with pytest.raises(ValueError, match=message):
                getattr(owner, method)(wrong, **options)
            getattr(owner, method)(FRAME, **options)
    with pytest.raises(ValueError, match=message):
        named.predict(wrong)


def test_arrays_have_no_names_to_refuse(named):
    np.testing.assert_array_equal(
        named.recording_.transform(X, epoch=2),
        named.recording_.transform(FRAME, epoch=2),
    )
    assert RECORDING.feature_names_in_ is None
    np.testing.assert_array_equal(
        RECORDING.transform(FRAME[["c", "b", "a"]], epoch=2),
        RECORDING.transform(X[:, ::-1], epoch=2),
    )


# -- read-only memory and default devices ------------------------------------------

EVERYWHERE = """
import sys, warnings
warnings.simplefilter("error")
import joblib, numpy as np, torch
torch.set_warn_always(True)
from skib.neural_network import NoisyMLPClassifier, NoisyMLPRegressor, fit_seeds
from skib.recording import Recording
directory, device = sys.argv[1:]
torch.set_default_device(device)
model = joblib.load(directory + "/model", mmap_mode="r")
X, y = joblib.load(directory + "/data", mmap_mode="r")
assert not (model.coefs_[0].flags.writeable or X.flags.writeable)
for name in ("predict", "predict_log_proba", "transform", "activations"):
    getattr(model, name)(X)
model.activations(X, n_draws=2), model.sample_proba(X, n_draws=2)
recording = model.recording_
recording.activations(X, epoch=2, n_draws=2), recording.predict(X, epoch=2)
Recording.from_weights(
    [0], [model.coefs_], [model.intercepts_], activation="relu", noise_std=0.1,
    output="softmax",
).predict_proba(X, epoch=0)
model.partial_fit(X, y, sample_weight=X[:, 1] ** 2)
options = {"max_iter": 2, "n_iter_no_change": np.inf}
NoisyMLPRegressor((3,), solver="lbfgs", noise_std=0, **options).fit(X, X[:, 0])
fit_seeds(NoisyMLPClassifier((3,), **options), X, y, random_states=2)
print(model.loss_)
"""


def test_read_only_memory_and_default_devices_change_nothing(tmp_path):
    joblib = pytest.importorskip("joblib")
    joblib.dump(FITTED, tmp_path / "model")
    joblib.dump((X, y), tmp_path / "data")
    losses = [
        subprocess.run(
            [sys.executable, "-c", EVERYWHERE, str(tmp_path), device],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for device in ("cpu", "meta")
    ]
    expected = make_classifier().fit(X, y)
    expected.partial_fit(X, y, sample_weight=X[:, 1] ** 2)
    assert losses[0] == losses[1]
    assert float(losses[0]) == pytest.approx(expected.loss_, rel=1e-5)
