import numpy as np
import pytest

from skib.datasets import make_szt
from skib.neural_network import NoisyMLPClassifier

X, y = make_szt()
X, y = X[::64], y[::64]


def recorded(record_epochs, max_iter=100, **options):
    options = {"n_iter_no_change": np.inf, "random_state": 0, **options}
    model = NoisyMLPClassifier(
        (3,), max_iter=max_iter, record_epochs=record_epochs, **options
    )
    return model.fit(X, y)


def epochs_of(model):
    return model.recording_.epochs.tolist()


def test_log_takes_the_start_ten_per_decade_and_the_end():
    expected = [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 63, 79, 90]
    assert epochs_of(recorded("log", max_iter=90)) == expected


@pytest.mark.parametrize("n_epochs", [1, 2, 3, 7, 30, 99, 101])
def test_a_number_is_kept_exactly(n_epochs):
    epochs = epochs_of(recorded(n_epochs))
    assert len(epochs) == n_epochs
    assert epochs[-1] == 100
    assert n_epochs == 1 or epochs[0] == 0


def test_a_number_beyond_all_epochs_keeps_all():
    assert epochs_of(recorded(50, max_iter=5)) == [0, 1, 2, 3, 4, 5]


def test_a_number_spaces_epochs_by_even_ratios():
    assert epochs_of(recorded(4)) == [0, 1, 10, 100]


def test_a_list_is_sorted_and_made_unique():
    assert epochs_of(recorded([7, 3, 3, 0])) == [0, 3, 7]


def test_none_records_nothing():
    assert not hasattr(recorded(None), "recording_")


def test_refitting_without_recording_forgets_the_old_one():
    model = recorded("log", max_iter=2)
    assert not hasattr(model.set_params(record_epochs=None).fit(X, y), "recording_")


@pytest.mark.parametrize(
    ("record_epochs", "message"),
    [
        ("linear", "record_epochs must be None, 'log'"),
        (0, "record_epochs must be None, 'log'"),
        (True, "record_epochs must be None, 'log'"),
        ([-1, 2], "record_epochs must be None, 'log'"),
        ([1.5], "record_epochs must be None, 'log'"),
        ([], "record_epochs must be None, 'log'"),
        ([3, 101], "asks for epoch 101, but training ends after max_iter=100"),
    ],
)
def test_a_bad_schedule_is_refused(record_epochs, message):
    with pytest.raises(ValueError, match=message):
        recorded(record_epochs)


def test_stopping_early_records_the_last_epoch_reached():
    model = recorded("log", tol=10.0, n_iter_no_change=10)
    assert model.n_iter_ == 12
    assert epochs_of(model)[-1] == 12


def test_stopping_early_keeps_a_list_as_it_is():
    model = recorded([1, 5, 50], tol=10.0, n_iter_no_change=10)
    assert epochs_of(model) == [1, 5]


def test_warm_start_goes_on_recording():
    model = recorded("log", max_iter=5, warm_start=True).fit(X, y)
    assert epochs_of(model) == [0, 1, 2, 3, 4, 5, 6, 8, 10]
    assert len(model.loss_curve_) == 10


def test_partial_fit_goes_on_recording():
    model = NoisyMLPClassifier((3,), record_epochs="log", random_state=0)
    for _ in range(11):
        model.partial_fit(X, y, classes=[0, 1])
    assert epochs_of(model) == [0, 1, 2, 3, 4, 5, 6, 8, 10]


def test_recorded_weights_are_those_of_their_epoch():
    """Training for a shorter time ends where the recording passed."""
    recording = recorded([4, 9], max_iter=9).recording_
    for at, n_epochs in enumerate(recording.epochs):
        short = recorded(None, max_iter=int(n_epochs))
        for ours, theirs in zip(recording.coefs[at], short.coefs_, strict=True):
            np.testing.assert_array_equal(ours, theirs)
