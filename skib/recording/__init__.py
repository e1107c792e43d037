"""What a network was at an epoch: snapshots, and recordings made of them."""

from skib.recording._collect import collect_activations
from skib.recording._layer_noise import GaussianNoise
from skib.recording._recording import Recording
from skib.recording._schedule import make_schedule
from skib.recording._snapshot import NetworkSnapshot, Snapshot, has_noise_before
from skib.recording._torch_recorder import TorchRecorder
from skib.recording._torch_snapshot import TorchSnapshot
from skib.recording._training_loops import lightning_callback, skorch_callback

__all__ = [
    "GaussianNoise",
    "NetworkSnapshot",
    "Recording",
    "Snapshot",
    "TorchRecorder",
    "TorchSnapshot",
    "collect_activations",
    "has_noise_before",
    "lightning_callback",
    "make_schedule",
    "skorch_callback",
]
