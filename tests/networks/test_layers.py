"""The weighted layers of a network, in the paper's order."""

import pytest
import torch
from conftest import PAPER
from torch import nn

from resnet_lightning.networks import cifar_resnet, imagenet_resnet, vgg16
from resnet_lightning.networks.inspection import layers


@pytest.mark.parametrize("batch_norm", [True, False])
def test_layers_are_the_papers_in_their_order(batch_norm: bool) -> None:
    for depth, counts in PAPER["counts_cifar"]["nets"].items():
        if depth > 110:
            continue
        with torch.device("meta"):
            network = cifar_resnet(depth, "C", batch_norm=batch_norm)
        found = layers(network)
        names = [f"layer{s}.{b}.conv{c}" for s in (1, 2, 3) for b in range(counts["n"]) for c in (1, 2)]
        assert list(found) == ["conv1", *names] and len(found) == counts["conv_layers"]
        assert found[names[3]].response is network.layer1[1].bn2  # nothing's output, where there is no normalisation


def test_layers_of_other_networks() -> None:
    with torch.device("meta"):
        assert len(layers(vgg16(10))) == 13
        for depth in (34, 50):
            counts = PAPER["counts_imagenet"]["resnet"][depth]["B"]
            assert len(layers(imagenet_resnet(depth, "B"))) == counts.get("conv_layers", 33)


def test_a_network_without_batch_normalisation_has_biases_instead() -> None:
    counts = PAPER["counts_cifar"]["nets"][20]
    with torch.device("meta"):
        network = cifar_resnet(20, "A", batch_norm=False)
    biases = 7 * 16 + 6 * 32 + 6 * 64
    assert sum(p.numel() for p in network.parameters()) == counts["params_without_bn"] + biases
    assert network.name == "ResNet-20 without BN"
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
