"""What is added to F(x) at the end of a block: shortcut options A, B and C (sections 3.3 and 4.1)."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

Shortcut = Literal["A", "B", "C", "none"]
Zeros = Literal["after", "around"]


class ZeroPadding(nn.Module):
    """Option A across sizes: every second pixel, and zeros for the channels that are new; no parameters.

    [B, C, H, W] becomes [B, C + new_channels, ⌈H / stride⌉, ⌈W / stride⌉].

    Args:
        average: means of stride×stride pixels, as fb.resnet.torch and what follows it have them.
        zeros: after the channels that there are, or around them, one half (rounded down) before.
    """

    def __init__(self, new_channels: int, stride: int, average: bool = False, zeros: Zeros = "after") -> None:
        super().__init__()
        self.new_channels = new_channels
        self.stride = stride
        self.average = average
        self.before = new_channels // 2 if zeros == "around" else 0

    def forward(self, x: Tensor) -> Tensor:
        fewer = (
            F.avg_pool2d(x, self.stride, ceil_mode=True) if self.average else x[:, :, :: self.stride, :: self.stride]
        )
        return F.pad(fewer, (0, 0, 0, 0, self.before, self.new_channels - self.before))


def normalisation(channels: int, batch_norm: bool) -> nn.Module:
    """What follows a convolution; without batch normalisation nothing, and the convolution has biases instead."""
    return nn.BatchNorm2d(channels) if batch_norm else nn.Identity()


def projection(in_channels: int, out_channels: int, stride: int, batch_norm: bool) -> nn.Sequential:
    """Options B and C: a 1×1 convolution with its own batch normalisation and no ReLU before the addition."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=not batch_norm),
        normalisation(out_channels, batch_norm),
    )


def make_shortcut(
    option: Shortcut,
    in_channels: int,
    out_channels: int,
    stride: int,
    batch_norm: bool = True,
    zeros: Zeros = "after",
) -> nn.Module | None:
    """The module that turns a block's input into what is added to F(x); None for a plain network."""
    if option == "none":
        return None
    same_size = stride == 1 and in_channels == out_channels
    if option == "C" or (option == "B" and not same_size):
        return projection(in_channels, out_channels, stride, batch_norm)
    return nn.Identity() if same_size else ZeroPadding(out_channels - in_channels, stride, zeros=zeros)
