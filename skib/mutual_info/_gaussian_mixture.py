"""The sample-propagation estimator of information in noisy layers."""

from __future__ import annotations

import math
import warnings
from numbers import Integral, Real

import numpy as np
import torch
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skib._numerics.kernel_sums import mixture_log_density
from skib._numerics.threads import torch_threads
from skib._validation import check_device, check_noise_std
from skib.exceptions import (
    EstimateNotConvergedWarning,
    HighDimensionWarning,
    SaturationWarning,
)
from skib.mutual_info._input_law import (
    check_activations,
    check_known_labels,
    check_labels,
    check_target,
    check_weights,
    input_law,
)
from skib.mutual_info._paired import (
    MIN_DRAWS,
    NoisySampler,
    information_terms,
    plug_in_conditional_entropy,
)
from skib.mutual_info._quantities import BRACKET, ESTIMATES, is_saturated
from skib.mutual_info._stratified import StratifiedMean
from skib.mutual_info.bounds import chi_square_of_gaussian, leading_bias

__all__ = ["GaussianMixtureMIEstimator"]

AUTO_SAMPLES = 8192
SAMPLES_PER_ROUND = 2**17
LARGEST_STEP = 4

# Converted to float64 together.
INPUTS_AT_A_TIME = 256

# Share of the possible values, 0 to H(X), that a bracket may cover without a word.
WIDE_BRACKET = 0.25
GOOD_BIAS = 0.1


class GaussianMixtureMIEstimator(BaseEstimator):
    """Information of a noisy layer about its input and the label.

    A noisy layer is ``T = S + Z`` with ``Z ~ N(0, noise_std^2 I)``, and its density is
    a mixture of Gaussians centred at the noiseless activations ``S``. The entropies of
    that mixture are evaluated by Monte Carlo integration [1]_ [2]_ at the same noisy
    samples of every input, so that their errors cancel in the information, which is
    the mean divergence of p(x|t) from p(x).

    Parameters
    ----------
    noise_std : float, default=0.1
        Standard deviation of the noise of the layer, in activation units, > 0.
    n_mc : int or "auto", default="auto"
        Noise samples per input. "auto" takes at least 2 per input and 8192 in all.
    tol : float or None, default=None
        Wanted standard error of every estimate, in nats: sampling goes on until it
        is reached. None samples ``n_mc`` times, once.
    max_samples : int, default=1_000_000
        Noise samples over all inputs after which sampling for ``tol`` gives up with an
        `EstimateNotConvergedWarning`. It gives up before where the draws given are too
        few for ``tol`` at any number of noise samples.
    target : {"input", "label"}, default="input"
        What `score` measures the information about.
    device : str, torch.device or None, default=None
        Where to compute. None: where the activations live; the CPU for numpy arrays.
    n_jobs : int or None, default=None
        Number of CPU threads; None is 1 and -1 is all. Does not change the numbers.
    random_state : int, RandomState instance or None, default=None
        Seed of the noise samples.

    Attributes
    ----------
    mutual_info_ : float
        I(X;T) in nats, between 0 and ``input_entropy_``. With several draws per input,
        the bias of finitely many draws is extrapolated away.
    mutual_info_low_, mutual_info_high_ : float
        A bracket of I(X;T): whatever the number of draws, the mean of the first is not
        above I(X;T) and the mean of the second not below. The second is the plug-in
        estimate of [1]_. They coincide when each input has one centre.
    entropy_ : float
        h(T) in nats, a differential entropy of any sign.
    conditional_entropy_ : float
        h(T|X) in nats; exactly ``n_units / 2 * log(2 pi e noise_std^2)`` when each
        input has one centre.
    label_mutual_info_ : float
        I(Y;T) in nats, between 0 and H(Y). None without labels.
    label_conditional_entropy_ : float
        h(T|Y) in nats. None without labels.
    mutual_info_std_error_, entropy_std_error_, ... : float
        Standard error of each of the above, from finitely many noise samples and
        draws, with the last step of the extrapolation as a measure of the bias that it
        leaves; ``mutual_info_low_std_error_`` and ``mutual_info_high_std_error_``
        belong to the bracket.
    input_entropy_ : float
        H(X) in nats, of the distinct inputs: the ceiling of I(X;T).
    saturated_ : bool
        Whether ``mutual_info_`` is within its error of that ceiling. Then it says only
        that the noise does not confuse the inputs given.
    n_mc_ : int
        Noise samples that each input got.
    classes_ : ndarray of shape (n_classes,) or None
        The labels seen. None without labels.
    n_features_in_ : int
        Number of units.

    See Also
    --------
    BinnedMIEstimator : The estimator of earlier work; measures clustering.

    Notes
    -----
    X is taken as the whole law of the input, uniform or as ``sample_weight`` says.
    Rows with equal activations are merged, so repeating rows changes nothing.

    References
    ----------
    .. [1] Goldfeld, Z. et al. (2019). Estimating Information Flow in Deep Neural
       Networks. ICML. https://arxiv.org/abs/1810.05728
    .. [2] Goldfeld, Z., Greenewald, K. and Polyanskiy, Y. (2018). Estimating
       Differential Entropy under Gaussian Convolutions. Equations 2, 7 and 11-14.
       https://arxiv.org/abs/1810.11589

    Examples
    --------
    Two inputs two noise standard deviations apart share 0.3368 nats with the output.

    >>> import numpy as np
    >>> from skib.mutual_info import GaussianMixtureMIEstimator
    >>> activations = np.array([[-1.0], [1.0]])
    >>> estimator = GaussianMixtureMIEstimator(noise_std=1.0, random_state=0)
    >>> information = estimator.fit(activations)
    >>> abs(information.mutual_info_ - 0.3368) < 4 * information.mutual_info_std_error_
    True
    """

    def __init__(
        self,
        noise_std=0.1,
        *,
        n_mc="auto",
        tol=None,
        max_samples=1_000_000,
        target="input",
        device=None,
        n_jobs=None,
        random_state=None,
    ):
        self.noise_std = noise_std
        self.n_mc = n_mc
        self.tol = tol
        self.max_samples = max_samples
        self.target = target
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y=None, sample_weight=None):
        """Estimate the information of activations about their inputs and labels.

        Parameters
        ----------
        X : array-like or Tensor, (n_inputs, n_units) or (n_inputs, n_draws, n_units)
            Noiseless activations, one row per input. Two dimensions when each input
            has exactly one (first hidden layer, or noise at this layer alone); three
            when noise in earlier layers gives each input a law, of which these are
            at least 4 independent draws.
        y : array-like of shape (n_inputs,), default=None
            Discrete labels.
        sample_weight : array-like of shape (n_inputs,), default=None
            Law of the inputs, up to a factor; None is uniform.

        Returns
        -------
        self : GaussianMixtureMIEstimator

        Raises
        ------
        ValueError
            If the activations are not finite, have no noise or too few draws, or if
            labels or weights do not fit them.
        """
        self._check_parameters()
        X = self._check_activations(X, reset=True)
        classes, labels = check_labels(self, y, X)
        law = input_law(X, labels, check_weights(sample_weight, len(X)))
        self._law, self.classes_ = law, classes
        with torch_threads(effective_n_jobs(self.n_jobs)):
            self._set_results(self._integrate(law))
        return self

    def score_samples(self, T):
        """Log-density of the layer's noisy output under the fitted mixture.

        Parameters
        ----------
        T : array-like or Tensor of shape (n_samples, n_units)
            Noisy outputs of the layer.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            ln p_T(t), in nats.
        """
        check_is_fitted(self)
        T = self._check_activations(T, reset=False)
        if T.ndim != 2:
            raise ValueError(
                "T must be outputs of the layer, (n_samples, n_units). Got an array of "
                f"shape {tuple(T.shape)}."
            )
        return self._log_density(T, self._law.input_weights).cpu().numpy()

    def score(self, X, y=None):
        """Information of activations X, evaluated under the fitted mixture.

        On the training activations this is the plug-in estimate. On fresh activations
        the cross-entropy ``-E ln p_fitted(T)`` takes the place of h(T), which it
        exceeds in expectation.

        Parameters
        ----------
        X : array-like or Tensor, (n_inputs, n_units) or (n_inputs, n_draws, n_units)
            Noiseless activations, as in `fit`.
        y : array-like of shape (n_inputs,), default=None
            Labels among those of `fit`; needed when ``target="label"``.

        Returns
        -------
        information : float
            I(X;T), or I(Y;T) when ``target="label"``, in nats.
        """
        check_is_fitted(self)
        X = self._check_activations(X, reset=False)
        labels = check_known_labels(self, y, X) if self.target == "label" else None
        law = input_law(X, labels, None)
        n_mc = self._first_n_mc(len(law.centers))
        samples = NoisySampler(law, self.noise_std, self._generator()).draw(n_mc)
        points = law.centers[samples.groups, samples.draws].double() + samples.noise
        weights = law.joint[samples.groups] / n_mc
        marginal = self._log_density(points, self._law.input_weights)
        if self.target == "label":
            likelihood = self._label_log_densities(points)[:, : weights.shape[1]]
            return float((weights * (likelihood - marginal[:, None])).sum())
        conditional = plug_in_conditional_entropy(law, samples, self.noise_std)
        return float(-weights[:, 0] @ (marginal + conditional))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = self.target == "label"
        return tags

    def _check_parameters(self):
        check_noise_std(self.noise_std)
        check_target(self.target)
        if self.n_mc != "auto":
            check_scalar(self.n_mc, "n_mc", Integral, min_val=1)
        check_scalar(self.max_samples, "max_samples", Integral, min_val=1)
        if self.tol is not None:
            check_scalar(self.tol, "tol", Real, min_val=0, include_boundaries="neither")

    def _check_activations(self, X, *, reset):
        device = None if self.device is None else check_device(self.device)
        X = check_activations(self, X, reset=reset, device=device)
        if X.ndim == 3 and X.shape[1] < MIN_DRAWS:
            raise ValueError(
                f"X must hold at least {MIN_DRAWS} draws per input, so that the bias of"
                f" having few shows. Got {X.shape[1]} in an array of shape "
                f"{tuple(X.shape)}. Draw more, or give a two-dimensional array if each "
                "input has exactly one centre."
            )
        return X

    def _generator(self):
        random = check_random_state(self.random_state)
        return np.random.default_rng(random.randint(np.iinfo(np.int32).max))

    def _first_n_mc(self, n_inputs):
        if self.n_mc == "auto":
            return max(2, math.ceil(AUTO_SAMPLES / n_inputs))
        if self.n_mc == 1 and n_inputs == 1:
            raise ValueError(
                "n_mc must be at least 2 when all inputs have the same activations: "
                "one sample has no standard error. Got n_mc=1."
            )
        return self.n_mc

    def _integrate(self, law):
        """Sample until the wanted error, or the allowed work, is reached."""
        n_inputs, n_draws, _ = law.centers.shape
        sampler = NoisySampler(law, self.noise_std, self._generator())
        means = StratifiedMean(
            law.input_weights,
            law.centers.mean(1),
            None if law.one_center else n_draws,
        )
        wanted = self._first_n_mc(n_inputs)
        per_round = max(1, SAMPLES_PER_ROUND // n_inputs)
        while means.n_samples < wanted:
            n_mc = min(wanted - means.n_samples, per_round)
            samples = sampler.draw(n_mc)
            terms = information_terms(law, samples, self.noise_std)
            means.add(
                terms.values | {_last_step(k): v for k, v in terms.remainders.items()},
                n_mc,
                draws=samples.draws,
                influences=terms.influences,
            )
            if means.n_samples == wanted and self.tol is not None:
                wanted = self._wanted_n_mc(means, n_inputs)
        return means

    def _wanted_n_mc(self, means, n_inputs):
        """Noise samples per input that the wanted error asks for."""
        done = means.n_samples
        errors = [
            (_std_error(means, name), _draw_error(means, name))
            for name in self._reported()
        ]
        error, draw_error = map(max, zip(*errors, strict=True))
        if error <= self.tol:
            return done
        allowed = max(self.max_samples // n_inputs, done)
        if draw_error >= self.tol or done == allowed:
            self._warn_not_converged(done, error, draw_error)
            return done
        # Only the part of the noise falls with the samples. A tenth more than it asks
        # for, and in steps, since the errors are themselves estimates.
        noise, wanted_noise = (e**2 - draw_error**2 for e in (error, self.tol))
        wanted = math.ceil(1.1 * done * noise / wanted_noise)
        return min(wanted, LARGEST_STEP * done, allowed)

    def _warn_not_converged(self, n_mc, error, draw_error):
        if draw_error >= self.tol:
            n_draws = self._law.centers.shape[1]
            reason = (
                f"The {n_draws} draws per input alone cause {draw_error:.2g} nats of it"
                ", which no noise sample lowers. Give about "
                f"{2 * n_draws * (draw_error / self.tol) ** 2:.2g} draws, or raise tol."
            )
        else:
            reason = "Raise max_samples or tol."
        warnings.warn(
            f"The standard error is {error:.2g} nats after {n_mc} noise samples for "
            f"each of {len(self._law.centers)} inputs, above tol={self.tol}. {reason}",
            EstimateNotConvergedWarning,
        )

    def _reported(self):
        """Return the quantities that the labels given, or not, let be known."""
        labelled = self.classes_ is not None
        return [name for name in ESTIMATES if labelled or not name.startswith("label")]

    def _set_results(self, means):
        self.n_mc_ = means.n_samples
        for name in ESTIMATES + BRACKET:
            known = self.classes_ is not None or not name.startswith("label")
            setattr(self, f"{name}_", means.mean(name) if known else None)
            error = _std_error(means, name) if known else None
            setattr(self, f"{name}_std_error_", error)
        self.input_entropy_ = self._law.input_entropy
        self.saturated_ = is_saturated(
            self.mutual_info_, self.mutual_info_std_error_, self.input_entropy_
        )
        self._warn_of_limits()

    def _warn_of_limits(self):
        low, high = self.mutual_info_low_, self.mutual_info_high_
        error = math.hypot(
            self.mutual_info_low_std_error_, self.mutual_info_high_std_error_
        )
        if high - low > max(WIDE_BRACKET * self.input_entropy_, 3 * error):
            _, n_draws, n_units = self._law.centers.shape
            warnings.warn(
                f"I(X;T) lies between {low:.4g} and {high:.4g} nats, a bracket so wide "
                f"that the estimate says little: {n_draws} draws per input do not fill "
                f"{n_units} units. Gaussian clouds as wide would take about "
                f"{_draws_needed(self._law, self.noise_std):g} draws. Give more "
                "draws, reduce the units (PCA of the activations keeps the noise round "
                "and its information is a lower bound), or raise noise_std.",
                HighDimensionWarning,
            )
        elif self.saturated_:
            warnings.warn(
                f"I(X;T) = {self.mutual_info_:.4g} nats is at its ceiling, the "
                f"entropy of the {len(self._law.centers)} inputs given: the noise "
                "confuses none of them, and the value says no more about the layer.",
                SaturationWarning,
            )

    def _log_density(self, points, weights):
        """Ln of the mixture of the fitted inputs with these weights."""
        return mixture_log_density(points, self._law.centers, weights, self.noise_std)

    def _label_log_densities(self, points):
        """Ln p(t|y) for every fitted label, shape (n_points, n_classes)."""
        columns = [self._log_density(points, w / w.sum()) for w in self._law.joint.T]
        return torch.stack(columns, dim=1)


def _last_step(name):
    return f"{name}_last_step"


def _bias_left(means, name):
    """Last step of the extrapolation, 0 where there is none."""
    step = _last_step(name)
    return means.mean(step) if step in means.names else 0.0


def _std_error(means, name):
    """Return the sampling error, with the bias that the extrapolation may leave."""
    return math.hypot(means.std_error(name), _bias_left(means, name))


def _draw_error(means, name):
    """Return the part of it that more noise on the same draws leaves."""
    return math.hypot(means.draw_error(name), _bias_left(means, name))


def _draws_needed(law, noise_std):
    """Draws for a bias of `GOOD_BIAS` in h(T|X), were clouds Gaussian; one digit."""
    n_inputs, n_draws, n_units = law.centers.shape
    scatter = law.joint.new_zeros(n_units, n_units)
    for clouds in map(Tensor.double, law.centers.split(INPUTS_AT_A_TIME)):
        steps = (clouds - clouds.mean(1, keepdim=True)).flatten(0, 1)
        scatter += steps.T @ steps
    covariance = scatter / (n_inputs * n_draws)
    stds = torch.linalg.eigvalsh(covariance).clamp_min(0).sqrt()
    chi_square = chi_square_of_gaussian(stds.cpu().numpy(), noise_std)
    # The leading bias is chi_square / (2 n_draws).
    return float(f"{leading_bias(1, chi_square) / GOOD_BIAS:.1g}")
