"""Moves of the noise given a point that leave its law as it is: Hamiltonian dynamics.

The noise rolls in the landscape of minus its log-density, with the Gaussian that fits
it as the mass. In that Gaussian alone the roll is a rotation about the centre, which is
followed exactly; only what the true law pulls beyond it is taken in steps. So long
moves are hardly ever refused where the fit is good, and small steps find their way
where it is not (B. Shahbaba, S. Lan, W. Johnson, R. Neal, "Split Hamiltonian Monte
Carlo", 2014, arXiv:1106.5941).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from skib._numerics.layer_density.noise_posterior import GaussianNoise, LayerProblem

__all__ = ["STEPS_PER_MOVE", "Place", "Roller"]

# Angles of the steps, of one move after the other, and steps of a move: a quarter of a
# turn forgets the start.
ANGLES = (0.3, 0.15, 0.45)
STEPS_PER_MOVE = 5


@dataclass(frozen=True)
class Place:
    """Where each noise is.

    Attributes
    ----------
    noise : Tensor of shape (n_points, n_noises)
    log_joint : Tensor of shape (n_points,)
        Log p(t, noise | own input).
    pull : Tensor of shape (n_points, n_noises)
        Slope of the log-density there beyond that of the Gaussian, over the mass.
    """

    noise: Tensor
    log_joint: Tensor
    pull: Tensor


@dataclass(frozen=True)
class Roller:
    """Moves the noises of some points.

    Attributes
    ----------
    problem : LayerProblem
    gaussian : GaussianNoise
        Fits the law of the noise given each point; it sets how far moves go, not where
        they lead.
    """

    problem: LayerProblem
    gaussian: GaussianNoise

    def at(self, noise: Tensor) -> Place:
        """Look around at these noises."""
        with torch.enable_grad():
            leaf = noise.detach().requires_grad_(True)
            value = self.problem.log_joint(leaf)
            (slope,) = torch.autograd.grad(value.sum(), leaf)
        pull = self.gaussian.spread(slope) + (noise - self.gaussian.center)
        return Place(noise, value.detach(), pull)

    def move(
        self, place: Place, turn: int, generator: torch.Generator, share: float = 1.0
    ) -> tuple[Place, Tensor]:
        """Roll every noise away, or leave it; return which of them moved too.

        Parameters
        ----------
        place : Place
        turn : int
            Number of the move: step sizes change from one to the next.
        generator : torch.Generator
        share : float, default=1.0
            Of the law in a geometric mean with the Gaussian, whose law is kept then.
        """
        speed = self.gaussian.draw(1, generator)[0]
        angle = ANGLES[turn % len(ANGLES)]
        there, speed_there = self.roll(place, speed, angle, share)
        energy, energy_there = (
            self.gaussian.square(v) / 2 - self._log_mean(at, share)
            for at, v in ((place, speed), (there, speed_there))
        )
        chance = torch.rand(energy.shape, generator=generator, dtype=energy.dtype)
        moves = chance.log() < energy - energy_there
        return _chosen(moves, there, place), moves

    def roll(
        self, place: Place, speed: Tensor, angle: float, share: float = 1.0
    ) -> tuple[Place, Tensor]:
        """Follow the dynamics; with the speed turned round, they lead back."""
        speed = speed + share * angle / 2 * place.pull
        for step in range(STEPS_PER_MOVE):
            offset = place.noise - self.gaussian.center
            turned = math.cos(angle) * offset + math.sin(angle) * speed
            speed = math.cos(angle) * speed - math.sin(angle) * offset
            place = self.at(self.gaussian.center + turned)
            half = 2 if step + 1 == STEPS_PER_MOVE else 1
            speed = speed + share * angle / half * place.pull
        return place, speed

    def _log_mean(self, place: Place, share: float) -> Tensor:
        if share == 1:
            return place.log_joint
        of_gaussian = self.gaussian.log_density(place.noise)
        return share * place.log_joint + (1 - share) * of_gaussian


def _chosen(which: Tensor, one: Place, other: Place) -> Place:
    return Place(
        torch.where(which[:, None], one.noise, other.noise),
        torch.where(which, one.log_joint, other.log_joint),
        torch.where(which[:, None], one.pull, other.pull),
    )
