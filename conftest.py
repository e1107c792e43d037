"""Which modules pytest does not import: triton comes with PyTorch for CUDA only."""

from importlib.util import find_spec

collect_ignore = []
if find_spec("triton") is None:
    collect_ignore.append("skib/_numerics/kernel_sums/triton_engine.py")
