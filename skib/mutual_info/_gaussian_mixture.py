"""The sample-propagation estimator of information in noisy layers."""

from __future__ import annotations

import math
from dataclasses import replace
from numbers import Integral

import numpy as np
import torch
from joblib import effective_n_jobs
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from skib._numerics.kernel_sums import mixture_log_density
from skib._numerics.moments import scatter_within
from skib._numerics.threads import torch_threads
from skib._validation import (
    check_activations,
    check_device,
    check_noise_std,
    check_sampling,
    draw_seed,
    whatever_the_default_device,
)
from skib.exceptions import EstimateNotConvergedWarning
from skib.mutual_info._base import ActivationsMIEstimator
from skib.mutual_info._information import BRACKET, QUANTITIES, Information
from skib.mutual_info._mixture_terms import MIN_DRAWS, NoisySampler, mixture_terms
from skib.mutual_info._stratified import GivenDraws, wanted_n_mc
from skib.mutual_info._wide_clouds import between_bounds, predicted_bias
from skib.mutual_info.bounds import chi_square_of_gaussian, leading_bias

__all__ = ["GaussianMixtureMIEstimator"]

AUTO_SAMPLES = 8192
SAMPLES_PER_ROUND = 2**17

# Bias of the plug-in, in nats, that the advice on draws aims at.
GOOD_BIAS = 0.1

# Nats of bias that extrapolation in the number of draws is trusted to take away, in
# layers of up to so many units and in wider ones, and the draws from which on it is. On
# linear layers of known truth its error was calibrated up to 0.3 nats at 2 to 5 units,
# and in wider ones up to 2.5 times too small from 0.13 nats on.
TRUSTED_BIAS_NARROW, NARROW_UNITS, TRUSTED_BIAS_WIDE = 0.3, 5, 0.1
FEWEST_TRUSTED_DRAWS = 16


class GaussianMixtureMIEstimator(ActivationsMIEstimator):
    """Information of a noisy layer about its input and the label.

    A noisy layer is ``T = S + Z`` with ``Z ~ N(0, noise_std^2 I)``, and its density is
    a mixture of Gaussians centred at the noiseless activations ``S``. The entropies of
    that mixture are evaluated by Monte Carlo integration [1]_ [2]_ at the same noisy
    samples of every input, so that their errors cancel in the information, which is
    the mean divergence of p(x|t) from p(x).

    Parameters
    ----------
    noise_std : float, default=0.1
        Standard deviation of the noise of the layer, in activation units, > 0. Over a
        recording, `information_flow` takes each layer's own for the default.
    n_draws : int, default=128
        Noisy passes per input that layers of a network are seen through, at least 4.
        Arrays that are fitted bring their own.
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
        the bias of finitely many draws is extrapolated away. Where draws are fewer than
        16 or do not fill the layer, the middle of the bracket.
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
        leaves; where the value is the middle of the bracket, at least its width over
        sqrt(12). ``mutual_info_low_std_error_`` and ``mutual_info_high_std_error_``
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
    X is taken as the whole law of the input, uniform or as ``sample_weight`` says. Rows
    whose activations are equal up to rounding are merged, so repeating rows changes
    nothing. If the inputs are a sample of some other law, the values are still those of
    these n inputs: at most ln n, and near it they say nothing about that law.

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

    min_draws = MIN_DRAWS

    def __init__(
        self,
        noise_std=0.1,
        *,
        n_draws=128,
        n_mc="auto",
        tol=None,
        max_samples=1_000_000,
        target="input",
        device=None,
        n_jobs=None,
        random_state=None,
    ):
        self.noise_std = noise_std
        self.n_draws = n_draws
        self.n_mc = n_mc
        self.tol = tol
        self.max_samples = max_samples
        self.target = target
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    def estimate_law(self, law):
        """Estimate the information of one layer by Monte Carlo integration.

        Parameters
        ----------
        law : LayerLaw

        Returns
        -------
        information : Information
        """
        self._law = law
        with torch_threads(effective_n_jobs(self.n_jobs)):
            means = self._integrate(law)
            estimates = self._estimates(law, means)
        information = Information(
            **estimates,
            diagnostics={"n_mc": means.n_samples},
            limits=self._tol_missed(means, estimates),
        )
        if information.has_wide_bracket(law):
            return replace(information, advice=_advice(law, self.noise_std))
        return information

    @whatever_the_default_device
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
        T = check_activations(self, T, reset=False)
        if T.ndim != 2:
            raise ValueError(
                "T must be outputs of the layer, (n_samples, n_units). Got an array of "
                f"shape {tuple(T.shape)}."
            )
        law = self._law
        log_density = mixture_log_density(
            T.to(law.centers.device), law.centers, law.input_weights, self.noise_std
        )
        return log_density.cpu().numpy()

    def sample(self, n_samples=1, random_state=None):
        """Draw noisy outputs of the layer from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        T : ndarray of shape (n_samples, n_units)
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        random = np.random.default_rng(draw_seed(random_state))
        centers = self._law.centers
        weights = self._law.input_weights.cpu().numpy()
        inputs = random.choice(len(weights), size=n_samples, p=weights / weights.sum())
        draws = random.integers(centers.shape[1], size=n_samples)
        clean = centers[inputs, draws].double().cpu().numpy()
        return clean + self.noise_std * random.standard_normal(clean.shape)

    def _check_parameters(self):
        super()._check_parameters()
        check_noise_std(self.noise_std)
        check_sampling(self, fewest=1)
        if check_scalar(self.n_draws, "n_draws", Integral, min_val=1) < MIN_DRAWS:
            raise ValueError(
                f"n_draws must be at least {MIN_DRAWS} draws per input, so that the "
                f"bias of having few shows. Got n_draws={self.n_draws}."
            )

    def _check_activations(self, X, *, reset):
        X = super()._check_activations(X, reset=reset)
        return X if self.device is None else X.to(check_device(self.device))

    def _estimates(self, law, means):
        """Extrapolate in the draws where that is enough; else stay between bounds."""
        if law.one_center or self._draws_fill(law):
            return {name: means.estimate(name) for name in QUANTITIES + BRACKET}
        return between_bounds(law, self.noise_std, means, self._generator())

    def _draws_fill(self, law):
        _, n_draws, n_units = law.centers.shape
        narrow = n_units <= NARROW_UNITS
        trusted = TRUSTED_BIAS_NARROW if narrow else TRUSTED_BIAS_WIDE
        return (
            n_draws >= FEWEST_TRUSTED_DRAWS
            and predicted_bias(law, self.noise_std) <= trusted
        )

    def _generator(self):
        return np.random.default_rng(draw_seed(check_random_state(self.random_state)))

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
        means = GivenDraws(
            law.input_weights,
            law.centers.mean(1),
            None if law.one_center else n_draws,
        )
        wanted = self._first_n_mc(n_inputs)
        per_round = max(1, SAMPLES_PER_ROUND // n_inputs)
        while means.n_samples < wanted:
            samples = sampler.draw(min(wanted - means.n_samples, per_round))
            terms = mixture_terms(law, samples, self.noise_std)
            means.add(terms, samples.draws)
            if means.n_samples == wanted and self.tol is not None:
                allowed = max(self.max_samples // n_inputs, means.n_samples)
                errors = self._largest_errors(means)
                wanted = wanted_n_mc(means.n_samples, errors, self.tol, allowed)
        return means

    def _largest_errors(self, means):
        """Largest standard error, and largest part that no noise sample lowers."""
        labelled = self._law.has_labels
        names = [
            name
            for name in means.names
            if name in QUANTITIES and (labelled or not name.startswith("label"))
        ]
        return (
            max(means.std_error(name) for name in names),
            max(means.draw_error(name) for name in names),
        )

    def _tol_missed(self, means, estimates):
        if self.tol is None:
            return ()
        error, draw_error = self._largest_errors(means)
        between = estimates["mutual_info"].std_error
        if between > max(error, self.tol):
            # The bracket is open, which no noise sample changes.
            error = draw_error = between
        if error <= self.tol:
            return ()
        n_inputs, n_draws, _ = self._law.centers.shape
        if draw_error >= self.tol:
            reason = (
                f"The {n_draws} draws per input alone cause {draw_error:.2g} nats of it"
                ", which no noise sample lowers. Give about "
                f"{2 * n_draws * (draw_error / self.tol) ** 2:.2g} draws, or raise tol."
            )
        else:
            reason = "Raise max_samples or tol."
        message = (
            f"The standard error is {error:.2g} nats after {means.n_samples} noise "
            f"samples for each of {n_inputs} inputs, above tol={self.tol}. {reason}"
        )
        return (EstimateNotConvergedWarning(message),)


def _advice(law, noise_std):
    _, n_draws, n_units = law.centers.shape
    return (
        f"{n_draws} draws per input do not fill {n_units} units. Gaussian clouds as "
        f"wide would take about {_draws_needed(law, noise_std):g} draws. Give more "
        "draws, reduce the units (PCA of the activations keeps the noise round and its "
        "information is a lower bound), or raise noise_std."
    )


def _draws_needed(law, noise_std):
    """Draws for a bias of `GOOD_BIAS` in h(T|X), were clouds Gaussian; one digit."""
    n_inputs, n_draws, _ = law.centers.shape
    alike = torch.full_like(law.input_weights, 1 / n_inputs)
    covariance = scatter_within(law.centers, alike) / n_draws
    stds = torch.linalg.eigvalsh(covariance).clamp_min(0).sqrt()
    chi_square = chi_square_of_gaussian(stds.cpu().numpy(), noise_std)
    # The leading bias is chi_square / (2 n_draws).
    return float(f"{leading_bias(1, chi_square) / GOOD_BIAS:.1g}")
