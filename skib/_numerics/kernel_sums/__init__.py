"""Streaming sums of Gaussian kernels, the one primitive of the mixture estimators.

Every input ``i`` (a *group*) has a cloud of centres, its draws. Neighbouring groups
make a *leaf*, neighbouring queries a *tile*. Whether a leaf matters to a tile is tested
once for both, and an engine sums the kernels of the leaves that do.
"""

from skib._numerics.kernel_sums.levels import Levels
from skib._numerics.kernel_sums.log_density import mixture_log_density
from skib._numerics.kernel_sums.sums import KernelSums, kernel_sums

__all__ = ["KernelSums", "Levels", "kernel_sums", "mixture_log_density"]
