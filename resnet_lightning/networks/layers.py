"""The layers that figure 7 and the gradients are about: convolutions in their order, shortcuts left out."""

from typing import NamedTuple

from torch import nn


class Layer(NamedTuple):
    """A convolution, and the module whose output is its response: its batch normalisation, if it has one (fig. 7)."""

    convolution: nn.Conv2d
    response: nn.Module


def layers(network: nn.Module) -> dict[str, Layer]:
    """The convolutions by name, in the order in which they were defined: 6n+1 of a CIFAR-10 network of 6n+2 layers.

    The response of a layer is taken after batch normalisation and before the ReLU or the addition.
    """
    modules = [(name, m) for name, m in network.named_modules() if "downsample" not in name and not list(m.children())]
    followers = [module for _, module in modules[1:]] + [nn.Identity()]
    return {
        name: Layer(module, follower if isinstance(follower, nn.BatchNorm2d) else module)
        for (name, module), follower in zip(modules, followers, strict=True)
        if isinstance(module, nn.Conv2d)
    }
