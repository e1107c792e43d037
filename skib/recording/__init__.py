"""What a network was at an epoch: snapshots, and recordings made of them."""

from skib.recording._recording import Recording
from skib.recording._schedule import make_schedule
from skib.recording._snapshot import NetworkSnapshot, Snapshot

__all__ = ["NetworkSnapshot", "Recording", "Snapshot", "make_schedule"]
