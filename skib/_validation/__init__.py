"""The border: what users hand in becomes tensors, labels, weights, seeds, networks.

Every public door goes through here, so that the same input gets the same answer
everywhere.
"""

from skib._validation.arrays import (
    as_numpy,
    check_activations,
    check_inputs,
    check_rows,
)
from skib._validation.equal_rows import group_equal_rows, group_near_rows
from skib._validation.inputs import as_dense, as_tensor, check_columns
from skib._validation.labels import (
    check_column,
    check_discrete,
    check_labels,
    check_target,
    check_weights,
)
from skib._validation.networks import (
    check_epochs,
    check_layer,
    check_layer_activation,
    check_layer_noise,
    check_layers,
    check_network,
    check_new_epochs,
    check_outputs,
    check_weight_chain,
)
from skib._validation.randomness import draw_seed, draw_seeds, seed_at
from skib._validation.settings import (
    check_device,
    check_noise_std,
    check_option,
    check_sampling,
    whatever_the_default_device,
)

__all__ = [
    "as_dense",
    "as_numpy",
    "as_tensor",
    "check_activations",
    "check_column",
    "check_columns",
    "check_device",
    "check_discrete",
    "check_epochs",
    "check_inputs",
    "check_labels",
    "check_layer",
    "check_layer_activation",
    "check_layer_noise",
    "check_layers",
    "check_network",
    "check_new_epochs",
    "check_noise_std",
    "check_option",
    "check_outputs",
    "check_rows",
    "check_sampling",
    "check_target",
    "check_weight_chain",
    "check_weights",
    "draw_seed",
    "draw_seeds",
    "group_equal_rows",
    "group_near_rows",
    "seed_at",
    "whatever_the_default_device",
]
