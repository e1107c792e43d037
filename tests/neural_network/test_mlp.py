import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_score,
    learning_curve,
    validation_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skib.datasets import make_szt
from skib.mutual_info import GaussianMixtureMIEstimator
from skib.neural_network import NoisyMLPClassifier, NoisyMLPRegressor

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)


def make_classifier(**options):
    options = {
        "hidden_layer_sizes": (6, 5),
        "activation": "tanh",
        "learning_rate_init": 0.02,
        "batch_size": 30,
        "max_iter": 30,
        "n_iter_no_change": np.inf,
        "random_state": 0,
        **options,
    }
    return NoisyMLPClassifier(**options)


def weights_of(model):
    return np.concatenate([a.ravel() for a in [*model.coefs_, *model.intercepts_]])


# -- what users of MLPClassifier rely on ------------------------------------------


def test_fitted_attributes_carry_scikit_learns_names():
    model = make_classifier().fit(X, y)
    assert [coef.shape for coef in model.coefs_] == [(4, 6), (6, 5), (5, 3)]
    assert [b.shape for b in model.intercepts_] == [(6,), (5,), (3,)]
    assert (model.n_layers_, model.n_outputs_, model.n_iter_) == (4, 3, 30)
    assert (model.out_activation_, model.t_) == ("softmax", 30 * len(X))
    assert model.loss_ == model.loss_curve_[-1]
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.loss_ < 0.5 * model.loss_curve_[0]


def test_string_labels_come_back():
    names = np.array(["setosa", "versicolor", "virginica"], dtype=object)
    model = make_classifier().fit(X, names[y])
    assert set(model.predict(X)) <= set(names)
    assert model.score(X, names[y]) > 0.9


def test_frames_in_names_and_frames_out():
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = make_classifier().set_output(transform="pandas").fit(frame, y)
    assert model.feature_names_in_.tolist() == list("abcd")
    out = model.transform(frame)
    assert out.columns.tolist() == [f"noisymlpclassifier{i}" for i in range(5)]


def test_transform_gives_the_layer_asked_for():
    model = make_classifier(transform_layer=1).fit(X, y)
    expected = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    np.testing.assert_allclose(model.transform(X), expected, atol=1e-6)


def test_probabilities_are_those_of_the_weights():
    model = make_classifier(dtype="float64").fit(X, y)
    hidden = X
    for layer in range(2):
        hidden = np.tanh(hidden @ model.coefs_[layer] + model.intercepts_[layer])
    scores = np.exp(hidden @ model.coefs_[2] + model.intercepts_[2])
    expected = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(expected))
    np.testing.assert_array_equal(model.predict(X), expected.argmax(axis=1))


def test_the_noise_free_methods_repeat_themselves():
    model = make_classifier(noise_std=0.5).fit(X, y)
    for method in ("predict_proba", "transform"):
        first, second = (getattr(model, method)(X) for _ in range(2))
        np.testing.assert_array_equal(first, second)


def test_pickled_and_cloned_it_is_the_same():
    model = make_classifier(record_epochs="log").fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(again.recording_.epochs, model.recording_.epochs)
    np.testing.assert_array_equal(weights_of(clone(model).fit(X, y)), weights_of(model))
    # It can be trained further as the original can.
    for each in (again, model):
        each.partial_fit(X, y)
    np.testing.assert_array_equal(weights_of(again), weights_of(model))


def test_torch_tensors_are_taken():
    model = make_classifier().fit(torch.tensor(X), torch.tensor(y))
    np.testing.assert_array_equal(
        weights_of(model), weights_of(make_classifier().fit(X, y))
    )
    assert isinstance(model.predict(torch.tensor(X)), np.ndarray)
    assert isinstance(model.activations(torch.tensor(X)), torch.Tensor)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_is_that_of_weights_and_outputs(dtype):
    model = make_classifier(dtype=dtype, record_epochs=[1]).fit(X, y)
    arrays = [*model.coefs_, *model.recording_.coefs[0], model.transform(X)]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


def test_verbose_prints_each_epoch(capsys):
    make_classifier(max_iter=2, verbose=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    iterations = ["Iteration 1", "Iteration 2"]
    assert [line.split(",")[0] for line in lines[:-1]] == iterations
    assert lines[-1] == "Stopped by max_iter after 2 epochs"


def test_verbose_predicts_the_bytes_of_the_recording(capsys):
    model = make_classifier(max_iter=2, verbose=True, record_epochs="log").fit(X, y)
    first = capsys.readouterr().out.splitlines()[0]
    predicted = float(first.split("each, ")[1].split()[0])
    assert first.startswith("Recording 3 epochs")
    assert predicted == pytest.approx(model.recording_.nbytes / 1e6, rel=0.01)


# -- stopping ---------------------------------------------------------------------


def test_it_stops_when_the_loss_stays():
    model = make_classifier(tol=10.0, n_iter_no_change=3, max_iter=100).fit(X, y)
    assert model.n_iter_ == 5


def test_reaching_max_iter_warns_unless_the_number_was_asked_for():
    with pytest.warns(ConvergenceWarning, match="n_iter_no_change=np.inf"):
        make_classifier(n_iter_no_change=10, max_iter=2).fit(X, y)
    assert make_classifier(n_iter_no_change=np.inf, max_iter=2).fit(X, y).n_iter_ == 2


def test_early_stopping_restores_the_best_weights():
    model = make_classifier(
        early_stopping=True, validation_fraction=0.3, max_iter=200, n_iter_no_change=5
    )
    model.set_params(record_epochs=list(range(201))).fit(X, y)
    assert model.n_iter_ < 200
    best = int(np.argmax(model.validation_scores_)) + 1
    assert model.best_validation_score_ == max(model.validation_scores_)
    at = model.recording_.epochs.tolist().index(best)
    np.testing.assert_array_equal(model.coefs_[0], model.recording_.coefs[at][0])


def test_early_stopping_may_change_between_warm_starts():
    model = make_classifier(warm_start=True, max_iter=3).fit(X, y)
    model.set_params(early_stopping=True).fit(X, y)
    assert len(model.validation_scores_) == 3
    model.set_params(early_stopping=False).fit(X, y)
    assert model.validation_scores_ is None
    assert len(model.loss_curve_) == 9


def test_lbfgs_stops_by_its_own_rule():
    """Patience and held-out samples are for the other solvers."""
    options = {"solver": "lbfgs", "noise_std": 0, "max_iter": 40, "dtype": "float64"}
    plain = make_classifier(**options).fit(X, y)
    patience = {"n_iter_no_change": 1, "early_stopping": True}
    with pytest.warns(ConvergenceWarning):
        impatient = make_classifier(**options, **patience).fit(X, y)
    assert impatient.n_iter_ == plain.n_iter_ == 40
    np.testing.assert_array_equal(weights_of(impatient), weights_of(plain))


def test_early_stopping_needs_something_to_validate_on():
    with pytest.raises(ValueError, match="validation_fraction"):
        make_classifier(early_stopping=True, validation_fraction=0.01).fit(
            X[y < 1], y[y < 1]
        )


def interrupt_at_call(monkeypatch, n_calls):
    """Press Ctrl-C in the middle of a step: at this call of the matrix product."""
    left, product = [n_calls], torch.bmm

    def interrupted(*args, **kwargs):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return product(*args, **kwargs)

    monkeypatch.setattr(torch, "bmm", interrupted)


def test_an_interrupted_fit_is_usable(monkeypatch):
    model = make_classifier(record_epochs="log", batch_size=50)
    # Three steps an epoch; three products forward, three and two back.
    interrupt_at_call(monkeypatch, 7 * 3 * 8 + 5)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    assert model.n_iter_ == 7
    assert model.recording_.epochs.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert model.predict(X).shape == y.shape
    assert model.activations(X).shape == (len(X), 5)


def test_weights_that_explode_are_reported():
    with pytest.raises(ValueError, match=r"not finite.*Got learning_rate_init=1e\+30"):
        make_classifier(
            solver="sgd", activation="identity", learning_rate_init=1e30
        ).fit(X, y)


# -- going on ---------------------------------------------------------------------


def test_partial_fit_is_one_epoch_of_fit():
    """Same optimiser state, weights and stream: twice one epoch is two epochs."""
    options = {"shuffle": False, "noise_std": 0, "dtype": "float64"}
    step_by_step = make_classifier(**options)
    for _ in range(5):
        step_by_step.partial_fit(X, y, classes=[0, 1, 2])
    at_once = make_classifier(max_iter=5, **options).fit(X, y)
    np.testing.assert_allclose(
        weights_of(step_by_step), weights_of(at_once), atol=1e-12
    )
    np.testing.assert_allclose(step_by_step.loss_curve_, at_once.loss_curve_)


def test_partial_fit_draws_fresh_noise_each_time():
    model = make_classifier(noise_std=1.0, learning_rate_init=1e-12, solver="sgd")
    losses = [model.partial_fit(X, y, classes=[0, 1, 2]).loss_ for _ in range(3)]
    assert len(set(losses)) == 3


def test_partial_fit_knows_classes_that_come_later():
    model = make_classifier().partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    for _ in range(60):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.partial_fit(X, y), "classes must be passed on the first call"),
        (
            lambda m: m.partial_fit(X, y, classes=[0, 1]),
            r"y must have the classes of the previous call: \[0, 1\]",
        ),
        (
            lambda m: m.fit(X, y).partial_fit(X, y, classes=[0, 1]),
            "classes must be those of the first call",
        ),
        (
            lambda m: m.set_params(warm_start=True).fit(X, y).fit(X[y < 2], y[y < 2]),
            r"Got \[0, 1\]",
        ),
        (
            lambda m: m.fit(X, y).set_params(hidden_layer_sizes=7).partial_fit(X, y),
            "cannot go on from weights with hidden layers",
        ),
    ],
)
def test_classes_and_layers_stay_the_same(call, message):
    with pytest.raises(ValueError, match=message):
        call(make_classifier())


def test_partial_fit_leaves_stopping_to_the_caller():
    with pytest.raises(ValueError, match="does not support early_stopping=True"):
        make_classifier(early_stopping=True).partial_fit(X, y, classes=[0, 1, 2])


def test_partial_fit_is_missing_for_lbfgs():
    assert not hasattr(make_classifier(solver="lbfgs", noise_std=0), "partial_fit")


# -- noise ------------------------------------------------------------------------


def test_layers_may_have_noise_of_their_own():
    model = make_classifier(noise_std=(0.0, 0.3), record_epochs=[1]).fit(X, y)
    assert model.recording_.noise_std == (0.0, 0.3)
    S = model.activations(X, layer=2, n_draws=2, random_state=0)
    np.testing.assert_array_equal(S[:, 0], S[:, 1])


def test_noisy_predictions_spread_with_the_noise():
    model = make_classifier(noise_std=0.05, max_iter=100).fit(X, y)
    draws = model.sample_proba(X, n_draws=400, random_state=0)
    assert draws.shape == (len(X), 400, 3)
    np.testing.assert_allclose(draws.sum(axis=2), 1, atol=1e-5)
    np.testing.assert_allclose(draws.mean(axis=1), model.predict_proba(X), atol=0.05)
    louder = model.set_params(noise_std=0.1).sample_proba(
        X, n_draws=400, random_state=0
    )
    ratio = louder.std(axis=1).mean() / draws.std(axis=1).mean()
    assert ratio == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("noise", ["gaussian_dropout", "dropout"])
def test_dropout_acts_in_training_only(noise):
    model = make_classifier(noise=noise, noise_std=0.5, record_epochs="log").fit(X, y)
    assert model.recording_.noise_std == (0.0, 0.0)
    S = model.activations(X, n_draws=2)
    np.testing.assert_array_equal(S[:, 0], S[:, 1])
    assert model.score(X, y) > 0.9


def losses_of_a_still_network(X, target, **options):
    """Loss of many noisy passes through one linear unit whose weights stay."""
    model = NoisyMLPRegressor(
        1,
        "identity",
        solver="sgd",
        learning_rate_init=1e-15,
        alpha=0,
        max_iter=4000,
        n_iter_no_change=np.inf,
        random_state=0,
        dtype="float64",
        **options,
    ).fit(X, target)
    return model, np.array(model.loss_curve_)


@pytest.mark.parametrize("noise", ["additive", "gaussian_dropout", "dropout"])
def test_training_noise_has_the_mean_and_spread_asked_for(noise):
    """The noise adds half the variance it causes at the output to the squared error."""
    target = X[:, 0] - X[:, 1]
    model, losses = losses_of_a_still_network(X, target, noise=noise, noise_std=0.5)
    spread = 0.5 * model.coefs_[1][0, 0]
    if noise != "additive":
        spread = spread * model.transform(X)[:, 0]
    expected = np.mean((model.predict(X) - target) ** 2 + spread**2) / 2
    error = losses.std() / len(losses) ** 0.5
    assert losses.mean() == pytest.approx(expected, abs=4 * error)
    assert error < 0.1 * np.mean(spread**2)


def test_dropout_drops_at_the_rate_of_its_spread():
    """One sample, one unit: a factor of 0, or of 1.25 at a rate of 0.2."""
    x, target = X[:1], [3.0]
    model, losses = losses_of_a_still_network(x, target, noise="dropout", noise_std=0.5)
    bias = model.intercepts_[1][0]
    outputs = bias + np.array([0, 1.25]) * (model.predict(x)[0] - bias)
    is_dropped = np.isclose(losses, (outputs[0] - 3) ** 2 / 2)
    assert np.isclose(losses[~is_dropped], (outputs[1] - 3) ** 2 / 2).all()
    assert is_dropped.mean() == pytest.approx(0.2, abs=4 * 0.4 / len(losses) ** 0.5)


def test_orthonormal_updates_make_weights_orthonormal():
    options = {"max_iter": 150, "learning_rate_init": 0.005}
    model = make_classifier(orthonormality=0.1, **options).fit(X, y)
    for coef in model.coefs_[:-1]:
        singular = np.linalg.svd(coef, compute_uv=False)
        np.testing.assert_allclose(singular, 1, atol=0.1)
    free = np.linalg.svd(make_classifier(**options).fit(X, y).coefs_[0])[1]
    assert np.abs(free - 1).max() > 0.5


# -- reproducibility --------------------------------------------------------------


def test_random_state_fixes_everything():
    models = [make_classifier(random_state=seed).fit(X, y) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(weights_of(models[0]), weights_of(models[1]))
    assert not np.array_equal(weights_of(models[0]), weights_of(models[2]))


def test_global_seeds_and_thread_settings_are_left_alone():
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    n_threads = torch.get_num_threads()
    make_classifier().fit(X, y)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.get_num_threads() == n_threads


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_trains_as_the_cpu_does():
    options = {"noise_std": 0, "dtype": "float64", "max_iter": 10}
    on_cpu = make_classifier(**options).fit(X, y)
    on_gpu = make_classifier(device="cuda", **options).fit(X, y)
    np.testing.assert_allclose(weights_of(on_gpu), weights_of(on_cpu), atol=1e-9)
    noisy = [make_classifier(device="cuda", noise_std=0.1).fit(X, y) for _ in range(2)]
    np.testing.assert_allclose(weights_of(noisy[0]), weights_of(noisy[1]), atol=1e-4)


# -- bad input --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "sin"}, "activation must be one of.*Got activation='sin'"),
        ({"solver": "adamw"}, "solver must be one of.*Got solver='adamw'"),
        ({"noise": "shot"}, "noise must be one of.*Got noise='shot'"),
        ({"dtype": "float16"}, "dtype must be one of"),
        ({"noise_std": -0.1}, "noise_std must be a finite number >= 0. Got .*-0.1"),
        ({"noise_std": (0.1,)}, "each of the 2 hidden layers. Got 1 numbers"),
        ({"hidden_layer_sizes": ()}, "one or more integers >= 1"),
        ({"hidden_layer_sizes": (3, 0)}, "one or more integers >= 1"),
        ({"hidden_layer_sizes": (2.5,)}, "one or more integers >= 1"),
        ({"max_iter": 0}, "max_iter == 0, must be >= 1"),
        ({"alpha": np.inf}, "alpha must be finite"),
        ({"tol": np.nan}, "tol must be finite"),
        ({"n_iter_no_change": 0}, "n_iter_no_change == 0, must be >= 1"),
        ({"batch_size": 0}, "batch_size == 0, must be >= 1"),
        ({"orthonormality": -1}, "orthonormality == -1, must be >= 0"),
        ({"solver": "lbfgs"}, "needs a loss without noise"),
        ({"device": "abacus"}, "device must be None or a torch device"),
    ],
)
def test_a_bad_parameter_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_classifier(**options).fit(X, y)


@pytest.mark.parametrize("weight", [-np.ones(150), np.zeros(150), np.ones((150, 2))])
def test_bad_sample_weights_are_refused(weight):
    with pytest.raises(ValueError, match="sample_weight must"):
        make_classifier().fit(X, y, sample_weight=weight)


def test_a_batch_larger_than_the_data_warns():
    with pytest.warns(UserWarning, match="larger than the 150 training samples"):
        make_classifier(batch_size=151).fit(X, y)


def test_rows_of_weight_zero_change_nothing_even_with_noise():
    weight = (np.arange(len(X)) % 3 > 0).astype(float)
    with_zeros = make_classifier(noise_std=0.3).fit(X, y, sample_weight=weight)
    without = make_classifier(noise_std=0.3).fit(
        X[weight > 0], y[weight > 0], sample_weight=weight[weight > 0]
    )
    np.testing.assert_array_equal(weights_of(with_zeros), weights_of(without))


# -- in scikit-learn's tools --------------------------------------------------------


def test_grid_search_over_the_noise():
    """Noise far beyond the range of tanh drowns the labels; a little does not."""
    grid = {"noisympl__noise_std": [0.01, 50.0]}
    pipeline = make_pipeline(StandardScaler(), make_classifier(max_iter=60))
    grid = {"noisymlpclassifier__noise_std": [0.01, 50.0]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    assert search.best_params_ == {"noisymlpclassifier__noise_std": 0.01}
    assert search.best_score_ > 0.9


def test_a_pipeline_may_end_in_an_estimator_of_information():
    """The first hidden layer as transformer: nothing noisy comes before it."""
    network = make_classifier(hidden_layer_sizes=(3,), noise_std=0.1)
    estimator = GaussianMixtureMIEstimator(0.1, random_state=0)
    pipeline = make_pipeline(StandardScaler(), network, estimator).fit(X, y)
    S = pipeline[:-1].transform(X)
    alone = GaussianMixtureMIEstimator(0.1, random_state=0).fit(S, y)
    assert pipeline[-1].mutual_info_ == alone.mutual_info_
    assert pipeline.score(X) == pytest.approx(alone.mutual_info_, abs=0.1)
    assert 1 < alone.mutual_info_ < np.log(len(X))


def test_model_selection_tools_take_it():
    model = make_classifier()
    assert cross_val_score(model, X, y, cv=3).min() > 0.8
    train, test = validation_curve(
        model, X, y, param_name="noise_std", param_range=[0.0, 0.1], cv=3
    )
    assert train.shape == test.shape == (2, 3)
    sizes, _, test = learning_curve(
        model, X, y, train_sizes=[0.3, 1.0], cv=3, shuffle=True
    )
    assert len(sizes) == 2
    assert test[-1].mean() > 0.8


def test_workers_in_threads_give_the_same_scores():
    model = make_classifier(noise_std=0.2)
    n_threads = torch.get_num_threads()
    serial = cross_val_score(model, X, y, cv=4)
    with parallel_config(backend="threading"):
        threaded = cross_val_score(model, X, y, cv=4, n_jobs=2)
    np.testing.assert_array_equal(serial, threaded)
    assert torch.get_num_threads() == n_threads


# -- the regressor ----------------------------------------------------------------


def test_the_regressor_fits_several_outputs():
    targets = np.c_[X[:, 0] + X[:, 1], np.tanh(X[:, 2])]
    model = NoisyMLPRegressor(
        (20,),
        "tanh",
        noise_std=0.01,
        max_iter=200,
        learning_rate_init=0.02,
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(X, targets)
    assert model.predict(X).shape == (150, 2)
    assert model.score(X, targets) > 0.95
    draws = model.sample_y(X, n_draws=50, random_state=0)
    assert draws.shape == (150, 50, 2)
    np.testing.assert_allclose(draws.mean(axis=1), model.predict(X), atol=0.1)


def test_the_regressor_learns_online_and_stops_early():
    target = X[:, 0] - X[:, 1]
    online = NoisyMLPRegressor((5,), random_state=0, learning_rate_init=0.05)
    losses = [online.partial_fit(X, target).loss_ for _ in range(20)]
    assert losses[-1] < 0.2 * losses[0]
    early = NoisyMLPRegressor((5,), early_stopping=True, random_state=0, tol=0.5)
    assert early.fit(X, target).n_iter_ < 200
    assert online.sample_y(X, n_draws=3).shape == (150, 3)


# -- the paper's network ------------------------------------------------------------


@pytest.mark.slow
def test_the_paper_recipe_reaches_97_percent():
    X, y = make_szt()
    order = np.random.RandomState(0).permutation(len(X))
    train, test = order[:3277], order[3277:]
    model = NoisyMLPClassifier(
        (10, 7, 5, 4, 3),
        "tanh",
        noise_std=0.005,
        alpha=0,
        batch_size=256,
        learning_rate_init=4e-4,
        max_iter=4000,
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(X[train], y[train])
    assert model.score(X[test], y[test]) >= 0.97


def test_many_classes():
    X, y = load_digits(return_X_y=True)
    model = make_classifier(hidden_layer_sizes=(30,), max_iter=15)
    model.fit(X[:1000] / 16, y[:1000])
    assert model.predict_proba(X[:3] / 16).shape == (3, 10)
    assert model.score(X[1000:] / 16, y[1000:]) > 0.85
