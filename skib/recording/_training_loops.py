"""Callbacks that record in other people's training loops: skorch, Lightning.

Their packages are imported when a callback is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skib.recording._schedule import make_schedule
from skib.recording._torch_recorder import TorchRecorder

__all__ = ["lightning_callback", "skorch_callback"]

# Of training that nobody says the end of.
NO_END = 10**9


class _LoopRecorder:
    """Keeps a recorder of the module that is trained, and asks it at the right epochs.

    Attributes
    ----------
    recording_ : TorchRecorder
        Of the training that was started last.
    """

    recording_: TorchRecorder

    def __init__(
        self, layers: Sequence[str], record_epochs: Any = None, **options: Any
    ) -> None:
        super().__init__()
        self.layers = layers
        self.record_epochs = record_epochs
        self.options = options

    def begin(self, module: Any, epoch: int, last_epoch: int | None) -> None:
        """Start anew, or go on where training goes on."""
        if epoch == 0 or not hasattr(self, "recording_"):
            self.recording_ = TorchRecorder(module, self.layers, **self.options)
        is_open = last_epoch is None or last_epoch < 0
        self._schedule = make_schedule(
            self.record_epochs,
            NO_END if is_open else last_epoch,
            may_exceed=True,
            is_open=is_open,
        )
        self.reach(epoch)

    def reach(self, epoch: int, *, is_last: bool = False) -> None:
        """Record after so many epochs, if that is wanted and not done."""
        is_wanted = is_last or self._schedule is None or epoch in self._schedule
        if is_wanted and epoch not in self.recording_.epochs:
            self.recording_.record(epoch)


def skorch_callback(
    layers: Sequence[str], *, record_epochs: Any = None, **options: Any
) -> Any:
    """Make a skorch callback that records the network while it is fitted.

    Parameters
    ----------
    layers : sequence of str
        Names of layers, as in ``net.module_.named_modules()``.
    record_epochs : "log", int, array-like of int or None, default=None
        As in `skib.NoisyMLPClassifier`; None is every epoch. The first and the last
        state are kept too.
    **options
        Of `TorchRecorder`, such as ``noise_std`` and ``noise``.

    Returns
    -------
    callback : skorch.callbacks.Callback
        For ``NeuralNet(..., callbacks=[callback])``. Its ``recording_`` is a
        `TorchRecorder`; `skib.information_flow` takes the callback itself.

    See Also
    --------
    TorchRecorder : For loops of one's own.
    """
    try:
        from skorch.callbacks import Callback
    except ImportError as error:
        raise ImportError(
            "skorch_callback needs skorch. Install it with `pip install skorch`."
        ) from error

    class SkorchRecorder(_LoopRecorder, Callback):
        def on_train_begin(self, net, X=None, y=None, **kwargs):
            self.begin(net.module_, len(net.history), net.max_epochs)

        def on_epoch_end(self, net, **kwargs):
            self.reach(len(net.history))

        def on_train_end(self, net, X=None, y=None, **kwargs):
            self.reach(len(net.history), is_last=True)

        def get_params(self, deep=True):
            return {"layers": self.layers, "record_epochs": self.record_epochs}

    return SkorchRecorder(layers, record_epochs, **options)


def lightning_callback(
    layers: Sequence[str], *, record_epochs: Any = None, **options: Any
) -> Any:
    """Make a Lightning callback that records the module while it is trained.

    Parameters
    ----------
    layers : sequence of str
        Names of layers, as in ``module.named_modules()`` of the LightningModule.
    record_epochs : "log", int, array-like of int or None, default=None
        As in `skib.NoisyMLPClassifier`; None is every epoch. The first and the last
        state are kept too.
    **options
        Of `TorchRecorder`, such as ``noise_std`` and ``noise``.

    Returns
    -------
    callback : lightning.pytorch.Callback
        For ``Trainer(callbacks=[callback])``. Its ``recording_`` is a `TorchRecorder`;
        `skib.information_flow` takes the callback itself.

    See Also
    --------
    TorchRecorder : For loops of one's own.
    """
    try:
        from lightning.pytorch import Callback
    except ImportError:
        try:
            from pytorch_lightning import Callback
        except ImportError as error:
            raise ImportError(
                "lightning_callback needs Lightning. Install it with `pip install "
                "lightning`."
            ) from error

    class LightningRecorder(_LoopRecorder, Callback):
        def on_train_start(self, trainer, pl_module):
            self.begin(pl_module, trainer.current_epoch, trainer.max_epochs)

        def on_train_epoch_end(self, trainer, pl_module):
            self.reach(trainer.current_epoch + 1)

        def on_train_end(self, trainer, pl_module):
            self.reach(trainer.current_epoch, is_last=True)

    return LightningRecorder(layers, record_epochs, **options)
