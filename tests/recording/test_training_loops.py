"""Callbacks in the loops of skorch and Lightning, against the real packages."""

import logging

import numpy as np
import pytest
import torch
from torch import nn

from skib import information_flow
from skib.recording import lightning_callback, skorch_callback

X = np.random.RandomState(0).randn(40, 4).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
OPTIONS = {"noise_std": 0.3, "noise": "probe"}


def make_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


def check_flow(callback, prefix=""):
    flow = information_flow(callback, X, Y, layers=[f"{prefix}1"], random_state=0)
    assert flow.epochs.tolist() == callback.recording_.epochs.tolist()
    assert flow.layers.tolist() == [f"{prefix}1"]


@pytest.mark.parametrize(
    ("record_epochs", "expected"),
    [(None, [0, 1, 2, 3]), ([2], [2, 3]), (2, [0, 3]), ("log", [0, 1, 2, 3])],
)
def test_skorch(record_epochs, expected):
    skorch = pytest.importorskip("skorch")
    callback = skorch_callback(["1"], record_epochs=record_epochs, **OPTIONS)
    net = skorch.NeuralNetClassifier(
        make_net(),
        criterion=nn.CrossEntropyLoss,
        max_epochs=3,
        train_split=None,
        verbose=0,
        callbacks=[callback],
    )
    net.fit(X, Y)
    assert callback.recording_.epochs.tolist() == expected
    last = net.module_[:2](torch.tensor(X)).detach()
    np.testing.assert_allclose(
        callback.recording_.transform(X, epoch=3), last, atol=1e-6
    )
    check_flow(callback)
    net.partial_fit(X, Y)
    assert callback.recording_.epochs[-1] == 6
    net.fit(X, Y)
    assert callback.recording_.epochs[-1] == 3


@pytest.mark.filterwarnings("ignore")
def test_lightning(tmp_path):
    try:
        import lightning.pytorch as lightning
    except ImportError:
        lightning = pytest.importorskip("pytorch_lightning")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = make_net()

        def forward(self, values):
            return self.net(values)

        def training_step(self, batch, _):
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    callback = lightning_callback(["net.1"], **OPTIONS)
    trainer = lightning.Trainer(
        max_epochs=3,
        callbacks=[callback],
        default_root_dir=tmp_path,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = Module()
    trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=20))
    assert callback.recording_.epochs.tolist() == [0, 1, 2, 3]
    last = module.net[:2](torch.tensor(X)).detach()
    np.testing.assert_allclose(
        callback.recording_.transform(X, epoch=3), last, atol=1e-6
    )
    check_flow(callback, "net.")


@pytest.mark.parametrize("make", [skorch_callback, lightning_callback])
def test_what_is_not_installed_is_said(make, monkeypatch):
    for name in ("skorch", "lightning", "pytorch_lightning"):
        for package in (name, f"{name}.callbacks", f"{name}.pytorch"):
            monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ImportError, match="pip install"):
        make(["1"], **OPTIONS)
