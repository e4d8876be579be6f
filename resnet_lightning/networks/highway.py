"""Highway networks (Srivastava, Greff and Schmidhuber, 2015): a gate decides how much of a layer's input passes it."""

import torch
from torch import Tensor, nn

from resnet_lightning.networks.blocks import PlainLayer
from resnet_lightning.networks.initialisation import he_initialisation
from resnet_lightning.networks.inspection import Block, Halves
from resnet_lightning.networks.resnet import check_narrow, narrower

# FitNet 4, whose 17 convolutions the 19-layer network took over: channels, in stages that end in 2×2 max pooling.
STAGES = ((32, 32, 32, 48, 48), (80,) * 6, (128,) * 6)


class HighwayLayer(nn.Module):
    """T(x)·H(x) + (1 - T(x))·x, where H is a 3×3 convolution with a ReLU and the gate T one with a sigmoid.

    [B, C, H, W] stays that; what the gate lets pass is x + T(x)·(H(x) - x).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.gate = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.change = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.change(torch.sigmoid(self.gate(x)) * (self.conv(x).relu() - x))  # type: ignore[no-any-return]

    def as_block(self) -> Block:
        return Block({"conv": self.conv}, self.change, nn.Identity(), keeps_shape=True)


class Highway(nn.Module):
    """Three stages of layers; where the number of channels changes, a layer has no gate, for there is no x to pass.

    Images [B, 3, H, W] become class scores [B, num_classes].
    """

    family, depth = "highway", 19

    def __init__(self, gates: bool, num_classes: int, narrow: int) -> None:
        super().__init__()
        self.name = "Highway-19" + " without gates" * (not gates) + narrower(narrow)
        channels, stages = 3, []
        for widths in STAGES:
            layers: list[nn.Module] = []
            for width in (width // narrow for width in widths):
                passes = gates and width == channels
                layers.append(HighwayLayer(width) if passes else PlainLayer(channels, width))
                channels = width
            stages.append(nn.Sequential(*layers))
        self.stage1, self.stage2, self.stage3 = stages
        self.pool = nn.MaxPool2d(2)
        self.last = PlainLayer(channels, channels, kernel=1)
        self.fc = nn.Linear(channels, num_classes)

    def features(self, images: Tensor) -> Tensor:
        x = self.pool(self.stage2(self.pool(self.stage1(images))))
        return self.last(self.stage3(x))  # type: ignore[no-any-return]

    def fully_convolutional(self) -> Halves:
        return self.features, self.fc

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.features(images).mean((2, 3)))  # type: ignore[no-any-return]


def highway(gates: bool = True, gate_bias: float = -2.0, num_classes: int = 10, narrow: int = 1) -> Highway:
    """Highway-19, the paper's network B for CIFAR-10, or the plain network of the same 19 layers without gates.

    The paper names FitNet 4 and 2.3M parameters, and says that the layer of maxout units gave way to a 1×1 convolution
    and global average pooling. So read, there are 17 convolutions of 3×3 (13 with gates of the same size; in the
    other four the channels change), a 1×1 convolution and the linear layer: 2,290,698 parameters.

    Args:
        gates: False for the plain network, of 1,225,098 parameters.
        gate_bias: of the gates at the start; the paper searched between -1 and -10.
        narrow: what all widths are divided by, 1, 2, 4 or 8.

    Raises:
        BadInput: for another narrow.
    """
    check_narrow(narrow)
    network = Highway(gates, num_classes, narrow)
    network.apply(he_initialisation)
    for module in network.modules():
        if isinstance(module, HighwayLayer):
            nn.init.normal_(module.gate.weight, std=0.01)
            nn.init.constant_(module.gate.bias, gate_bias)  # type: ignore[arg-type]
    return network
