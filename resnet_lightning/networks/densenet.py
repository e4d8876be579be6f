"""DenseNet (Huang et al., 2017): every layer sees what all layers before it in its block have made."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models import DenseNet as TorchvisionDenseNet
from torchvision.models import densenet121, densenet169, densenet201

from resnet_lightning.errors import BadInput
from resnet_lightning.networks.initialisation import he_initialisation
from resnet_lightning.networks.inspection import Block, Halves
from resnet_lightning.networks.resnet import check_probability
from resnet_lightning.networks.shortcuts import ZeroPadding

IMAGENET = {121: densenet121, 169: densenet169, 201: densenet201}


class DenseLayer(nn.Module):
    """Appends k channels to x: normalise, ReLU, 3×3; with a bottleneck, a 1×1 to 4k channels before that.

    [B, C, H, W] becomes [B, C + k, H, W]. Parameters are named as in torchvision.
    """

    def __init__(self, channels: int, growth: int, bottleneck: bool, dropout: float) -> None:
        super().__init__()
        inner = 4 * growth
        self.norm1 = nn.BatchNorm2d(channels)
        if bottleneck:
            self.conv1 = nn.Conv2d(channels, inner, kernel_size=1, bias=False)
            self.norm2 = nn.BatchNorm2d(inner)
            self.conv2 = nn.Conv2d(inner, growth, kernel_size=3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(channels, growth, kernel_size=3, padding=1, bias=False)
        self.growth, self.bottleneck = growth, bottleneck
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        new = self.conv1(self.norm1(x).relu())
        if self.bottleneck:
            new = self.conv2(self.norm2(new).relu())
        return torch.cat((x, self.dropout(new)), dim=1)

    def as_block(self) -> Block:
        layers: dict[str, nn.Module] = {"conv1": self.conv1}
        if self.bottleneck:
            layers = {"conv1": self.norm2, "conv2": self.conv2}
        return Block(layers, self.dropout, ZeroPadding(self.growth, stride=1), keeps_shape=False)


class DenseNet(nn.Module):
    """A 3×3 stem, three dense blocks of n layers with transitions between them, pooling and a linear layer.

    Images [B, 3, H, W] become class scores [B, num_classes].
    """

    family = "DenseNet"

    def __init__(
        self,
        name: str,
        depth: int,
        n: int,
        growth: int,
        bottleneck: bool,
        compression: float,
        dropout: float,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.name, self.depth = name, depth
        channels = 2 * growth if bottleneck else 16
        self.conv = nn.Conv2d(3, channels, kernel_size=3, padding=1, bias=False)
        for number in (1, 2, 3):
            layers = [DenseLayer(channels + i * growth, growth, bottleneck, dropout) for i in range(n)]
            channels += n * growth
            self.add_module(f"block{number}", nn.Sequential(*layers))
            if number < 3:
                fewer = int(compression * channels)
                self.add_module(f"transition{number}", transition(channels, fewer, dropout))
                channels = fewer
        self.norm = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, num_classes)
        self.apply(he_initialisation)

    def features(self, images: Tensor) -> Tensor:
        x = self.conv(images)
        for part in ("block1", "transition1", "block2", "transition2", "block3"):
            x = getattr(self, part)(x)
        return self.norm(x).relu()  # type: ignore[no-any-return]

    def fully_convolutional(self) -> Halves:
        return self.features, self.fc

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.features(images).mean((2, 3)))  # type: ignore[no-any-return]


def transition(channels: int, fewer: int, dropout: float) -> nn.Sequential:
    """Between dense blocks: normalise, ReLU, a 1×1 convolution, and the mean of 2×2 pixels."""
    convolution = nn.Conv2d(channels, fewer, kernel_size=1, bias=False)
    parts = {"norm": nn.BatchNorm2d(channels), "relu": nn.ReLU(inplace=True), "conv": convolution}
    return nn.Sequential(OrderedDict(parts | {"dropout": nn.Dropout(dropout), "pool": nn.AvgPool2d(2)}))


def densenet(
    depth: int, growth: int = 12, bottleneck: bool = False, dropout: float = 0.0, num_classes: int = 10
) -> DenseNet:
    """DenseNet (L, k) for CIFAR-10, or DenseNet-BC, with bottlenecks and transitions that halve the channels.

    The stem has 16 channels, or 2k. Dropout, where there is any, follows each convolution but the stem's.

    Args:
        growth: k, the channels that a layer adds.
        dropout: 0.2 in the paper, only where images are not augmented.

    Raises:
        BadInput: for a depth that is not 3N+4, with bottlenecks 6N+4; a growth below 1; a dropout that is no
            probability below 1.
    """
    period = 6 if bottleneck else 3
    n, rest = divmod(depth - 4, period)
    if n < 1 or rest:
        examples = "100, 190 or 250" if bottleneck else "40 or 100"
        raise BadInput(f"depth {depth}: a DenseNet{'-BC' * bottleneck} has {period}N+4 layers, such as {examples}")
    if growth < 1:
        raise BadInput(f"growth {growth}: expected the number of channels that a layer adds, at least 1")
    check_probability("dropout", dropout)
    name = f"DenseNet{'-BC' * bottleneck}-{depth}-{growth}" + " dropout" * bool(dropout)
    return DenseNet(name, depth, n, growth, bottleneck, 0.5 if bottleneck else 1.0, dropout, num_classes)


def imagenet_densenet(depth: int = 121, num_classes: int = 1000) -> TorchvisionDenseNet:
    """DenseNet-121, 169 or 201 for ImageNet, as torchvision defines it.

    Raises:
        BadInput: for another depth.
    """
    if depth not in IMAGENET:
        raise BadInput(f"depth {depth}: expected {', '.join(map(str, IMAGENET))}")
    network: TorchvisionDenseNet = IMAGENET[depth](num_classes=num_classes)
    network.name, network.family, network.depth = f"DenseNet-{depth}", "DenseNet", depth
    return network
