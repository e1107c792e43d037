"""Information from below by a decoder, from above by a chain, at any width."""

from skib._numerics.decoder.annealed_odds import N_LAWS
from skib._numerics.decoder.clouds import DrawnPoints, decode_clouds, scorer_of_passes
from skib._numerics.decoder.decode import (
    DEFENCES,
    Decoder,
    Temper,
    choose_temper,
    decode_points,
)
from skib._numerics.decoder.gaps import ChainSize, Gaps, decoder_gaps
from skib._numerics.decoder.scores import CenterScorer, Scorer, with_bends

__all__ = [
    "DEFENCES",
    "N_LAWS",
    "CenterScorer",
    "ChainSize",
    "Decoder",
    "DrawnPoints",
    "Gaps",
    "Scorer",
    "Temper",
    "choose_temper",
    "decode_clouds",
    "decode_points",
    "decoder_gaps",
    "scorer_of_passes",
    "with_bends",
]
