"""The two forms of information that share a mean."""

import torch

from skib._numerics.input_posterior import posterior_information


def test_both_forms_average_to_the_information_of_a_discrete_channel():
    generator = torch.Generator().manual_seed(0)
    p_t_given_i = torch.rand(3, 7, generator=generator, dtype=torch.float64)
    p_t_given_i /= p_t_given_i.sum(1, keepdim=True)
    weights = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    joint = weights[:, None] * p_t_given_i
    information = (joint * (p_t_given_i / joint.sum(0)).log()).sum()
    # Any factor per output cancels.
    scaled = p_t_given_i * torch.rand(7, generator=generator, dtype=torch.float64)
    logs = torch.xlogy(scaled, scaled)
    found = posterior_information(
        weights[:, None].expand(3, 7),
        scaled,
        weights @ scaled - weights[:, None] * scaled,
        weights @ logs - weights[:, None] * logs,
    )
    torch.testing.assert_close((joint * found.about_own).sum(), information)
    torch.testing.assert_close((joint * found.expected).sum(), information)
    # What is expected does not depend on the input, only on the output.
    torch.testing.assert_close(found.expected[0], found.expected[2])


def test_certain_inputs_give_their_surprise_exactly():
    weight, nothing = torch.tensor([0.3, 0.7]), torch.zeros(2)
    found = posterior_information(weight, torch.tensor([2.0, 1e-9]), nothing, nothing)
    assert torch.equal(found.about_own, -weight.log())
    assert torch.equal(found.expected, -weight.log())
