"""Stochastic depth (Huang et al., 2016): each training batch goes through some of the blocks only."""

from itertools import count
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from resnet_lightning.errors import BadInput
from resnet_lightning.networks.inspection import Block
from resnet_lightning.networks.preactivation import sequence
from resnet_lightning.networks.resnet import ResNet
from resnet_lightning.networks.shortcuts import ZeroPadding

Per = Literal["batch", "image"]


class StochasticBlock(nn.Module):
    """relu(b·F(x) + shortcut(x)) while training, where b is 1 with a probability, else 0; relu(p·F(x) + …) when tested.

    [B, in_channels, H, W] becomes [B, channels, ⌈H / stride⌉, ⌈W / stride⌉].

    Args:
        survival: p, the probability of b = 1.
        per: one b for a batch, so that a block that is left out costs nothing, or one for each image.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, survival: float, per: Per) -> None:
        super().__init__()
        convolutions = [
            nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        ]
        self.survival = survival
        self.per = per
        self.residual = sequence("CBRCB", in_channels, convolutions)
        self.keeps_shape = stride == 1 and in_channels == channels
        self.downsample = (
            nn.Identity() if self.keeps_shape else ZeroPadding(channels - in_channels, stride, average=True)
        )
        self.added = nn.Identity()
        self.after = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.downsample(x)
        if not self.training:
            return self.after(shortcut + self.added(self.survival * self.residual(x)))  # type: ignore[no-any-return]
        if self.per == "image":
            survives = torch.rand(len(x), 1, 1, 1, device=x.device) < self.survival
            return self.after(shortcut + survives * self.residual(x))  # type: ignore[no-any-return]
        # Drawn on the CPU, so that nothing waits for the device. Where only costs are counted, a block is there.
        if x.is_meta or torch.rand((), device="cpu") < self.survival:
            return self.after(shortcut + self.residual(x))  # type: ignore[no-any-return]
        return self.after(LeftOut.apply(shortcut, *self.residual.parameters()))  # type: ignore[no-any-return]

    def as_block(self) -> Block:
        layers = {f"residual.conv{number}": self.residual.get_submodule(f"bn{number}") for number in (1, 2)}
        return Block(layers, self.added, self.downsample, self.keeps_shape, self.after)


class LeftOut(torch.autograd.Function):
    """The shortcut alone. F's weights get zero gradients: without any, they would know no momentum and no decay."""

    @staticmethod
    def forward(ctx: Any, shortcut: Tensor, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(*weights)
        return shortcut.view_as(shortcut)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return gradient, *map(torch.zeros_like, ctx.saved_tensors)


def stochastic_depth_resnet(depth: int, survival: float = 0.5, per: Per = "batch", num_classes: int = 10) -> ResNet:
    """The first paper's CIFAR-10 networks with stochastic depth: the l-th of L blocks survives with 1 - l/L·(1 - p_L).

    As the authors', shortcuts across sizes average pixels. The parameters are those of option A: 1,727,962 at 110
    layers. With p_L = 0.5 three quarters of the blocks are expected to be there, about 40 of 54.

    Args:
        survival: p_L, of the last block; 1 is constant depth.
        per: "batch", as the authors' code draws, or "image".

    Raises:
        BadInput: for a depth that is not 6n+2, a survival that is no probability above 0, or an unknown per.
    """
    n, rest = divmod(depth - 2, 6)
    if n < 1 or rest:
        raise BadInput(f"depth {depth}: a CIFAR-10 network has 6n+2 layers, such as 20, 56, 110 or 1202")
    if not 0 < survival <= 1:
        raise BadInput(f"survival {survival}: expected the last block's probability, above 0 and at most 1")
    if per not in get_args(Per):
        raise BadInput(f"per {per!r}: expected batch or image")
    numbers = count(1)

    def make(inside: int, outside: int, stride: int) -> StochasticBlock:
        return StochasticBlock(inside, outside, stride, 1 - next(numbers) / (3 * n) * (1 - survival), per)

    kind = "constant" if survival == 1 else "stochastic"
    name = f"{kind}-{depth}" + " per image" * (per == "image")
    return ResNet(name, depth, (n,) * 3, (16, 32, 64), make, "A", 16, False, num_classes, family="stochastic depth")
