"""The two building blocks (figures 2 and 5): relu(F(x) + shortcut(x)), or relu(F(x)) in a plain network."""

from typing import Literal

from torch import Tensor, nn

from resnet_lightning.networks.inspection import Block
from resnet_lightning.networks.shortcuts import Shortcut, Zeros, make_shortcut, normalisation

StrideIn = Literal["1x1", "3x3"]


class BasicBlock(nn.Module):
    """F is two 3×3 convolutions, each followed by batch normalisation, with a ReLU between them.

    [B, in_channels, H, W] becomes [B, channels, ⌈H / stride⌉, ⌈W / stride⌉].

    Args:
        batch_norm: False leaves batch normalisation out; the convolutions have biases instead.
        dropout: probability with which an activation between the two convolutions is zero.
        maxout: linear pieces whose largest is that activation, in place of the ReLU; each has weights of its own.
        zeros: where a shortcut of option A has the zeros of the new channels.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        shortcut: Shortcut,
        batch_norm: bool = True,
        dropout: float = 0.0,
        maxout: int = 1,
        zeros: Zeros = "after",
    ) -> None:
        super().__init__()
        bias, inner = not batch_norm, maxout * channels
        self.conv1 = nn.Conv2d(in_channels, inner, kernel_size=3, stride=stride, padding=1, bias=bias)
        self.bn1 = normalisation(inner, batch_norm)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=bias)
        self.bn2 = normalisation(channels, batch_norm)
        self.between: nn.Module = nn.ReLU(inplace=True) if maxout == 1 else Maxout(maxout)
        if dropout:
            self.between = nn.Sequential(self.between, nn.Dropout(dropout))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = make_shortcut(shortcut, in_channels, channels, stride, batch_norm, zeros)
        self.shapes = in_channels, channels, stride

    def forward(self, x: Tensor) -> Tensor:
        out = self.between(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            out += self.downsample(x)
        return self.relu(out)  # type: ignore[no-any-return]

    def as_block(self) -> Block:
        return _as_block(self, {"conv1": self.bn1, "conv2": self.bn2})


class Maxout(nn.Module):
    """The largest of so many maps (Goodfellow et al., 2013): [B, pieces · C, H, W] becomes [B, C, H, W]."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (self.pieces, -1)).amax(dim=1)  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """F is a 1×1 convolution to a quarter of the channels, a 3×3 one, and a 1×1 one back.

    Each is followed by batch normalisation, and the first two by a ReLU.

    [B, in_channels, H, W] becomes [B, channels, ⌈H / stride⌉, ⌈W / stride⌉].

    Args:
        stride_in: which convolution takes the stride: the first, as in the authors' release, or the 3×3 one, as in
            torchvision ("v1.5": more accurate, and more multiply-adds).
        width: channels inside; by default a quarter.
        groups: of the 3×3 convolution; more than one make the block one of ResNeXt.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        shortcut: Shortcut,
        stride_in: StrideIn,
        width: int | None = None,
        groups: int = 1,
    ) -> None:
        super().__init__()
        width = width or channels // 4
        first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, kernel_size=1, stride=first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, stride=second, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = make_shortcut(shortcut, in_channels, channels, stride)
        self.shapes = in_channels, channels, stride

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.downsample is not None:
            out += self.downsample(x)
        return self.relu(out)  # type: ignore[no-any-return]

    def as_block(self) -> Block:
        return _as_block(self, {"conv1": self.bn1, "conv2": self.bn2, "conv3": self.bn3})


class PlainLayer(nn.Module):
    """relu(F(x)), where F is one convolution with biases: a layer of the networks before ResNet.

    [B, in_channels, H, W] becomes [B, channels, H, W].
    """

    def __init__(self, in_channels: int, channels: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2)
        self.shapes = in_channels, channels, 1

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).relu()  # type: ignore[no-any-return]

    def as_block(self) -> Block:
        shortcut = make_shortcut("A", *self.shapes)
        assert shortcut is not None
        keeps_shape = isinstance(shortcut, nn.Identity)
        return Block({"conv": self.conv}, self.conv, shortcut, keeps_shape, after=nn.ReLU(), plain=True)


def _as_block(block: BasicBlock | Bottleneck, layers: dict[str, nn.Module]) -> Block:
    option_a = make_shortcut("A", *block.shapes)
    assert option_a is not None
    return Block(
        layers=layers,
        residual=list(layers.values())[-1],
        shortcut=option_a if block.downsample is None else block.downsample,
        keeps_shape=isinstance(option_a, nn.Identity),
        after=nn.ReLU(),  # not in place: a deleted block must leave the x of others alone
        plain=block.downsample is None,
    )
