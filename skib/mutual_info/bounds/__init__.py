"""What theory promises: bounds on the errors of the plug-in estimator, and a planner.

The plug-in estimate of an entropy h(S + Z), Z ~ N(0, noise_std^2), takes n samples of
S as the centres of a Gaussian mixture and returns that mixture's entropy. All values
are in nats. The functions are named after what they bound; each says from which
equation it comes, and which of several bounds is the one to use.
"""

from skib.mutual_info.bounds._chi_square import (
    chi_square_of_atoms,
    chi_square_of_cube,
    chi_square_of_gaussian,
)
from skib.mutual_info.bounds._entropy import (
    bias_bound,
    deviation_bound,
    deviation_probability_bound,
    leading_bias,
    risk_bound,
    worst_case_bias,
)
from skib.mutual_info.bounds._entropy_of_papers import (
    cube_risk_bound,
    subgaussian_risk_bound,
    worst_case_bias_fano,
)
from skib.mutual_info.bounds._monte_carlo import (
    monte_carlo_mse_bound,
    monte_carlo_mse_bound_cube,
    monte_carlo_mse_bound_moment,
)
from skib.mutual_info.bounds._mutual_info import (
    Interval,
    label_mutual_info_risk_bound,
    mutual_info_ceiling,
    mutual_info_risk_bound,
    pairwise_mutual_info_bounds,
)
from skib.mutual_info.bounds._planner import SamplingPlan, plan_sampling

__all__ = [
    "Interval",
    "SamplingPlan",
    "bias_bound",
    "chi_square_of_atoms",
    "chi_square_of_cube",
    "chi_square_of_gaussian",
    "cube_risk_bound",
    "deviation_bound",
    "deviation_probability_bound",
    "label_mutual_info_risk_bound",
    "leading_bias",
    "monte_carlo_mse_bound",
    "monte_carlo_mse_bound_cube",
    "monte_carlo_mse_bound_moment",
    "mutual_info_ceiling",
    "mutual_info_risk_bound",
    "pairwise_mutual_info_bounds",
    "plan_sampling",
    "risk_bound",
    "subgaussian_risk_bound",
    "worst_case_bias",
    "worst_case_bias_fano",
]
