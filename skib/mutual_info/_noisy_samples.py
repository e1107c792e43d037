"""Estimators that see no more of a noisy layer than samples of its output."""

from __future__ import annotations

import math
from abc import abstractmethod
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state, check_scalar

from skib._validation import check_noise_std, draw_seed
from skib.exceptions import HighDimensionWarning
from skib.mutual_info._base import ActivationsMIEstimator
from skib.mutual_info._information import Estimate, Information
from skib.mutual_info._input_law import LayerLaw
from skib.mutual_info._mixture_terms import noise_entropy

__all__ = ["NoisySamplesMIEstimator"]

# Standard errors that chance does not explain.
CLEARLY = 4


class Surprises(NamedTuple):
    """Estimates of -ln of densities at samples.

    Attributes
    ----------
    among_all, among_group : ndarray of shape (n_samples,)
        Of p(t), and of p(t | group of the sample).
    """

    among_all: np.ndarray
    among_group: np.ndarray


class NoisySamplesMIEstimator(ActivationsMIEstimator):
    """Base of the estimators of entropy from samples of a density.

    A subclass estimates -ln of the density at each of a number of samples, in one
    method, ``surprises``. Samples of the layer are drawn here, independently, inputs by
    their weights; h(T|X) is that of the noise where each input has one centre,
    else it is estimated from one sample for each draw of an input.
    """

    @abstractmethod
    def surprises(self, samples: np.ndarray, groups: np.ndarray) -> Surprises:
        """Estimate -ln of densities at samples of them.

        Parameters
        ----------
        samples : ndarray of shape (n_samples, n_units)
        groups : int array of shape (n_samples,)
            Label of each sample.

        Returns
        -------
        surprises : Surprises
        """

    @abstractmethod
    def surprises_of_clouds(self, clouds: np.ndarray) -> np.ndarray:
        """Estimate -ln p(t|x) at samples of each input.

        Parameters
        ----------
        clouds : ndarray of shape (n_inputs, n_draws, n_units)

        Returns
        -------
        surprises : ndarray of shape (n_inputs, n_draws)
        """

    def estimate_law(self, law):
        """Estimate the information of one layer from samples of its output.

        Parameters
        ----------
        law : LayerLaw

        Returns
        -------
        information : Information
        """
        random = np.random.default_rng(draw_seed(check_random_state(self.random_state)))
        rows, labels = _choose(law, self.n_samples, random)
        centers = law.centers.double().cpu().numpy()
        draws = random.integers(centers.shape[1], size=len(rows))
        samples = self._with_noise(centers[rows, draws], random)
        found = self.surprises(samples, labels)
        entropy = _mean(found.among_all)
        conditional = self._conditional(law, centers, random)
        information = Estimate(
            entropy.value - conditional.value,
            math.hypot(entropy.std_error, conditional.std_error),
        )
        return Information(
            mutual_info=information,
            entropy=entropy,
            conditional_entropy=conditional,
            label_mutual_info=_mean(found.among_all - found.among_group),
            label_conditional_entropy=_mean(found.among_group),
            limits=_limits(information, law, self.n_samples),
        )

    def _conditional(self, law, centers, random):
        if law.one_center:
            return Estimate(noise_entropy(centers.shape[2], self.noise_std))
        clouds = self.surprises_of_clouds(self._with_noise(centers, random))
        weights = law.input_weights.cpu().numpy()
        # Given the inputs: the spread within each cloud alone is chance.
        variance = weights**2 @ clouds.var(1, ddof=1) / clouds.shape[1]
        return Estimate(float(weights @ clouds.mean(1)), float(np.sqrt(variance)))

    def _with_noise(self, centers, random):
        return centers + self.noise_std * random.standard_normal(centers.shape)

    def _check_parameters(self):
        super()._check_parameters()
        check_noise_std(self.noise_std)
        check_scalar(self.n_samples, "n_samples", Integral, min_val=2)
        check_scalar(self.n_draws, "n_draws", Integral, min_val=self.min_draws)


def _choose(
    law: LayerLaw, n_samples: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw inputs and labels by their weights.

    Independently: one sample of each input would leave a sample alone that is left out,
    where others of its input belong beside it.
    """
    joint = law.joint.cpu().numpy()
    edges = np.cumsum(joint.ravel())
    places = edges[-1] * random.uniform(size=n_samples)
    chosen = np.minimum(np.searchsorted(edges, places, side="right"), joint.size - 1)
    rows, labels = np.divmod(chosen, joint.shape[1])
    return rows, labels


def _limits(
    information: Estimate, law: LayerLaw, n_samples: int
) -> tuple[HighDimensionWarning, ...]:
    """Say so where bias alone can have led to a value."""
    slack = CLEARLY * information.std_error + 0.01
    if -slack <= information.value <= law.input_entropy + slack:
        return ()
    return (
        HighDimensionWarning(
            f"I(X;T) = {information.value:.4g} nats cannot be: it lies between 0 and "
            f"H(X) = {law.input_entropy:.4g}. This is the bias of {n_samples} samples "
            f"in {law.centers.shape[2]} units. Give more samples, or use "
            "GaussianMixtureMIEstimator, which knows the noise."
        ),
    )


def _mean(terms: np.ndarray) -> Estimate:
    return Estimate(
        float(terms.mean()), float(terms.std(ddof=1)) / float(np.sqrt(len(terms)))
    )
