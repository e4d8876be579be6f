"""Gradients of a deep sigmoid network, by hand and with depth."""

import math

import pytest
import torch
from torch import nn

from resnet_lightning.networks.mlp import SigmoidMLP
from resnet_lightning.studies.vanishing import gradient_norms, ratio


@pytest.mark.parametrize("skip", [False, True])
def test_three_layers_by_hand(skip: bool) -> None:
    network = SigmoidMLP(3, 1, 1, skip).double()
    x, weight = 0.7, (1.5, -0.8, 2.0)
    for layer, value in zip((*network.hidden, network.last), weight, strict=True):
        nn.init.constant_(layer.weight, value)
    sigmoid = lambda z: 1 / (1 + math.exp(-z))  # noqa: E731
    s1 = sigmoid(1.5 * x)
    h1 = s1 + skip * x
    s2 = sigmoid(-0.8 * h1)
    h2 = s2 + skip * h1
    d2, d1 = s2 * (1 - s2), s1 * (1 - s1)
    by_second = 2.0 * d2 * h1
    by_first = 2.0 * (d2 * -0.8 + skip) * d1 * x
    found = gradient_norms(network, network(torch.tensor([[x]], dtype=torch.float64)).sum())
    assert found == pytest.approx([abs(by_first), abs(by_second), h2])


def test_skip_connections_keep_gradients_of_deep_sigmoid_networks_alive() -> None:
    assert ratio(20, False) < 1e-9 < 1e-3 < ratio(20, True)
