"""SqueezeNet (Iandola et al., 2016): few channels go into every 3×3 convolution; with shortcuts around its modules."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torchvision.models import SqueezeNet as TorchvisionSqueezeNet
from torchvision.models import squeezenet1_0

from resnet_lightning.errors import BadInput
from resnet_lightning.networks.initialisation import he_initialisation
from resnet_lightning.networks.inspection import Block, Halves
from resnet_lightning.networks.resnet import check_narrow, check_probability, narrower
from resnet_lightning.networks.shortcuts import make_shortcut

Bypass = Literal["none", "simple", "complex"]

# Of fire2 to fire9: channels of the 1×1 convolution that squeezes, and of what comes out.
FIRES = ((16, 128), (16, 128), (32, 256), (32, 256), (48, 384), (48, 384), (64, 512), (64, 512))
POOLED = (4, 8)  # the fire modules before which the map is halved, besides the stem


class Fire(nn.Module):
    """F(x) + bypass(x), or F(x): squeeze by a 1×1 convolution, then half of the channels from 1×1, half from 3×3.

    [B, in_channels, H, W] becomes [B, channels, H, W]. Parameters are named as in torchvision.
    """

    def __init__(self, in_channels: int, squeezed: int, channels: int, bypass: Bypass) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, kernel_size=1)
        self.expand1x1 = nn.Conv2d(squeezed, channels // 2, kernel_size=1)
        self.expand3x3 = nn.Conv2d(squeezed, channels // 2, kernel_size=3, padding=1)
        self.keeps_shape = in_channels == channels
        self.added = nn.Identity()
        self.option_a = make_shortcut("A", in_channels, channels, 1)
        self.bypass: nn.Module | None = None
        if bypass != "none" and self.keeps_shape:
            self.bypass = nn.Identity()
        elif bypass == "complex":
            self.bypass = nn.Conv2d(in_channels, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        few = self.squeeze(x).relu()
        change = self.added(torch.cat((self.expand1x1(few), self.expand3x3(few)), dim=1).relu())
        return change if self.bypass is None else change + self.bypass(x)  # type: ignore[no-any-return]

    def as_block(self) -> Block:
        layers = {name: getattr(self, name) for name in ("squeeze", "expand1x1", "expand3x3")}
        plain = self.bypass is None
        shortcut = self.option_a if self.bypass is None else self.bypass
        assert shortcut is not None
        return Block(layers, self.added, shortcut, self.keeps_shape, plain=plain)


class SqueezeNet(nn.Module):
    """A 3×3 stem, eight fire modules with two poolings, dropout and a 1×1 convolution whose maps are averaged.

    Images [B, 3, H, W] become class scores [B, num_classes].
    """

    family = "SqueezeNet"
    depth = 18  # a fire module counts twice: its two kinds of expansion are one layer

    def __init__(self, bypass: Bypass, dropout: float, num_classes: int, narrow: int) -> None:
        super().__init__()
        self.name = "SqueezeNet" + (f" {bypass} bypass" if bypass != "none" else "") + narrower(narrow)
        channels = 96 // narrow
        self.conv1 = nn.Conv2d(3, channels, kernel_size=3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        for number, (squeezed, width) in enumerate(FIRES, start=2):
            self.add_module(f"fire{number}", Fire(channels, squeezed // narrow, width // narrow, bypass))
            channels = width // narrow
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.dropout = nn.Dropout(dropout)
        self.conv10 = nn.Conv2d(channels, num_classes, kernel_size=1)
        self.apply(he_initialisation)
        # Smaller, as the authors have it, since there is no batch normalisation; without it complex bypass diverges.
        for key, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
                if key == "conv10" or key.endswith("bypass"):
                    nn.init.normal_(module.weight, std=0.01)

    def features(self, images: Tensor) -> Tensor:
        """The maps whose means are the scores, [B, num_classes, h, w]."""
        x = self.relu(self.conv1(images))
        for number in range(2, 10):
            x = self.get_submodule(f"fire{number}")(x)
            if number in POOLED:
                x = self.pool(x)
        return self.conv10(self.dropout(x))  # type: ignore[no-any-return]

    def fully_convolutional(self) -> Halves:
        return self.features, nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.features(images).mean((2, 3))


def squeezenet(bypass: Bypass = "none", dropout: float = 0.5, num_classes: int = 10, narrow: int = 1) -> SqueezeNet:
    """SqueezeNet in a form for CIFAR-10, which its paper has not: a 3×3 stem of stride 1, without pooling behind it.

    Everything else is version 1.0, but for the ReLU on the last maps, since scores that are all zero learn nothing: the
    maps are halved after fire4 and fire8. 729,034 parameters, without bypass or
    with the simple one, which is identity around fire3, 5, 7 and 9; complex bypass has 1×1 convolutions around the
    others (1,070,282). For ImageNet, torchvision's 1,248,424 parameters (the paper's 1.24M) are imagenet_squeezenet.

    Args:
        narrow: what all widths are divided by, 1, 2, 4 or 8.

    Raises:
        BadInput: for an unknown bypass, another narrow, or a dropout that is no probability below 1.
    """
    if bypass not in get_args(Bypass):
        raise BadInput(f"bypass {bypass!r}: expected none, simple or complex")
    check_probability("dropout", dropout)
    check_narrow(narrow)
    return SqueezeNet(bypass, dropout, num_classes, narrow)


def imagenet_squeezenet(num_classes: int = 1000) -> TorchvisionSqueezeNet:
    """SqueezeNet 1.0 for ImageNet, as torchvision defines it; no bypass."""
    network = squeezenet1_0(num_classes=num_classes)
    network.name, network.family, network.depth = "SqueezeNet 1.0", "SqueezeNet", 18
    return network
