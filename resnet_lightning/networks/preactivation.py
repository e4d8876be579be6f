"""Identity mappings in deep residual networks (He et al., 2016): where to activate, and what the shortcut may do.

A unit is written as its paper's figures show it, in letters: C for a convolution, B for batch normalisation, R for a
ReLU, D for dropout.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lightning.errors import BadInput
from resnet_lightning.networks.blocks import StrideIn
from resnet_lightning.networks.inspection import Block
from resnet_lightning.networks.resnet import BOTTLENECK, ResNet
from resnet_lightning.networks.shortcuts import Shortcut, make_shortcut

Arrangement = Literal["original", "bn_after_addition", "relu_before_addition", "relu_only", "full"]
Kind = Literal["basic", "bottleneck"]
Variant = Literal["identity", "scaled", "both_scaled", "exclusive_gate", "shortcut_gate", "convolution", "dropout"]

# Figure 4: what comes before the first convolution, the residual function from there on, what follows the addition.
# A bottleneck has one more convolution in the middle.
ARRANGEMENTS: dict[str, tuple[str, str, str]] = {
    "original": ("", "CBRCB", "R"),
    "bn_after_addition": ("", "CBRC", "BR"),
    "relu_before_addition": ("", "CBRCBR", ""),
    "relu_only": ("R", "CBRCB", ""),
    "full": ("BR", "CBRC", ""),
}


class Unit(nn.Module):
    """after(h(x) + F(x)); what comes before the first convolution belongs to F, and to h where that is a projection.

    [B, in_channels, H, W] becomes [B, channels, ⌈H / stride⌉, ⌈W / stride⌉].

    Args:
        arrangement: of table 2.
        kind: two 3×3 convolutions, or 1×1, 3×3 and 1×1 with a quarter of the channels inside.
        variant: of table 1; "identity" everywhere else.
        first: behind the stem, which has activated x already, for both paths (appendix).
        dropout: before the last convolution, as in wide residual networks.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        arrangement: Arrangement = "full",
        kind: Kind = "basic",
        variant: Variant = "identity",
        first: bool = False,
        dropout: float = 0.0,
        stride_in: StrideIn = "1x1",
        project: bool = True,
    ) -> None:
        super().__init__()
        before, residual, after = ARRANGEMENTS[arrangement]
        if dropout:
            residual = residual.replace("RC", "RDC")
        if kind == "bottleneck":
            width = channels // 4
            residual = residual.replace("CBR", "CBRCBR", 1)
            strides = (stride, 1, 1) if stride_in == "1x1" else (1, stride, 1)
            convolutions = [(in_channels, width, 1), (width, width, 3), (width, channels, 1)]
        else:
            strides, convolutions = (stride, 1, 1), [(in_channels, channels, 3), (channels, channels, 3)]
        made = [
            nn.Conv2d(inside, outside, kernel, by, padding=kernel // 2, bias=False)
            for (inside, outside, kernel), by in zip(convolutions, strides, strict=False)
        ]
        self.before = sequence("" if first else before, in_channels)
        self.residual = sequence(residual, in_channels, made, dropout)
        self.after = sequence(after, channels)
        same = stride == 1 and in_channels == channels
        option: Shortcut = "C" if variant == "convolution" else "B" if project else "A"
        shortcut = make_shortcut(option, in_channels, channels, stride)
        assert shortcut is not None
        self.activates = not same and option != "A"  # a projection sees what F sees
        if self.activates and "B" in before and isinstance(shortcut, nn.Sequential):
            shortcut = shortcut[0]  # normalised already
        self.carry = shortcut
        self.vary = Varied(variant, channels)
        self.added = nn.Identity()
        self.keeps_shape = same

    def forward(self, x: Tensor) -> Tensor:
        ready = self.before(x)
        carried = self.carry(ready if self.activates else x)
        change = self.added(self.residual(ready) * self.vary.share(carried))
        return self.after(self.vary(carried) + change)  # type: ignore[no-any-return]

    def as_block(self) -> Block:
        layers, behind = {}, [*list(self.residual.children())[1:], nn.Identity()]
        for (name, module), follower in zip(self.residual.named_children(), behind, strict=True):
            if isinstance(module, nn.Conv2d):
                response = follower if isinstance(follower, nn.BatchNorm2d) else module
                layers[f"residual.{name}"] = response
        carry = nn.Sequential(*([self.before] if self.activates else []), self.carry, self.vary)
        shortcut = nn.Identity() if self.keeps_shape and self.vary.variant == "identity" else carry
        return Block(layers, self.added, shortcut, self.keeps_shape, self.after)


class Varied(nn.Module):
    """h of table 1, of an x that has the unit's shape, and the number that F is multiplied with.

    A gate is a 1×1 convolution with a sigmoid; its bias at the start decides how far it is open.
    """

    def __init__(self, variant: Variant, channels: int) -> None:
        super().__init__()
        self.variant = variant
        self.gate = nn.Conv2d(channels, channels, kernel_size=1) if variant.endswith("gate") else None

    def forward(self, x: Tensor) -> Tensor:
        if self.variant in ("scaled", "both_scaled"):
            return 0.5 * x
        if self.gate is not None:
            return (1 - torch.sigmoid(self.gate(x))) * x
        return F.dropout(x, 0.5, self.training) if self.variant == "dropout" else x

    def share(self, x: Tensor) -> Tensor | float:
        if self.gate is not None and self.variant == "exclusive_gate":
            return torch.sigmoid(self.gate(x))
        return 0.5 if self.variant == "both_scaled" else 1.0


def sequence(
    letters: str, channels: int, convolutions: Sequence[nn.Conv2d] = (), dropout: float = 0.0
) -> nn.Sequential:
    """The modules that the letters stand for, named conv1, bn1, relu1, …

    Args:
        channels: of what comes in.
        convolutions: one for each C.
        dropout: its probability, where there is a D.
    """
    modules, numbers, remaining = nn.Sequential(), Counter[str](), iter(convolutions)
    for letter, previous in zip(letters, " " + letters, strict=False):
        module: nn.Module
        if letter == "C":
            module = next(remaining)
            channels = module.out_channels
        elif letter == "B":
            module = nn.BatchNorm2d(channels)
        else:  # what is not made here may be needed elsewhere, so that it must stay as it is
            module = nn.ReLU(inplace=previous == "B") if letter == "R" else nn.Dropout(dropout)
        name = {"C": "conv", "B": "bn", "R": "relu", "D": "dropout"}[letter]
        numbers[name] += 1
        modules.add_module(f"{name}{numbers[name]}", module)
    return modules


def preactivation_resnet(
    depth: int,
    block: Kind = "bottleneck",
    arrangement: Arrangement = "full",
    variant: Variant = "identity",
    gate_bias: float = -6.0,
    num_classes: int = 10,
) -> ResNet:
    """The CIFAR-10 networks of the second paper: 6n+2 layers in basic blocks, or 9n+2 in bottlenecks.

    Basic blocks have shortcuts of option A, so that 110 layers have the parameters of the first paper's, 1,727,962, in
    every arrangement. Bottlenecks have projections where the shape changes. In "full" they see the shared
    pre-activation, and have no batch normalisation of their own: 1,703,258 parameters at 164 layers and 10,327,706 at
    1001, where the paper says 1.7M and 10.2M. In the others they have it: 1,704,154 and 10,328,602. The stride is on
    the first 1×1. A variant acts on what the shortcut carries, across sizes too; "convolution" is option C.

    Args:
        arrangement: of table 2; "original" is the first paper's.
        variant: of table 1, which has them on the original arrangement.
        gate_bias: of a gate, at the start.

    Raises:
        BadInput: for a depth that is not 6n+2 or 9n+2, or an unknown arrangement, block or variant.
    """
    for said, value, known in (
        ("block", block, get_args(Kind)),
        ("arrangement", arrangement, get_args(Arrangement)),
        ("variant", variant, get_args(Variant)),
    ):
        if value not in known:
            raise BadInput(f"{said} {value!r}: expected {', '.join(known)}")
    period, examples = (6, "20, 56 or 110") if block == "basic" else (9, "29, 110, 164 or 1001")
    n, rest = divmod(depth - 2, period)
    if n < 1 or rest:
        raise BadInput(f"depth {depth}: of {block} blocks, a network has {period}n+2 layers, such as {examples}")
    numbers = count()
    names = {"original": "original", "full": "pre-activation", "bn_after_addition": "BN after addition"}
    family = names.get(arrangement, arrangement.replace("relu", "ReLU").replace("_", " "))
    change = f" {variant.replace('_', ' ')}" * (variant != "identity") + f" {gate_bias:g}" * variant.endswith("gate")
    name, family = f"{family}-{depth}{change}", family + change
    if block != ("basic" if depth <= 110 else "bottleneck"):  # those of the paper
        name += f" {block}"
    channels = (16, 32, 64) if block == "basic" else (64, 128, 256)

    def make(inside: int, outside: int, stride: int) -> Unit:
        first, project = next(numbers) == 0, block == "bottleneck"
        return Unit(inside, outside, stride, arrangement, block, variant, first, project=project)

    letters = ARRANGEMENTS[arrangement][0]
    last = sequence(letters, channels[-1]) if letters else None
    option: Shortcut = "C" if variant == "convolution" else "B" if block == "bottleneck" else "A"
    network = ResNet(name, depth, (n,) * 3, channels, make, option, 16, False, num_classes, family=family, last=last)
    for module in network.modules():
        if isinstance(module, Varied) and module.gate is not None:
            nn.init.constant_(module.gate.bias, gate_bias)  # type: ignore[arg-type]
    return network


def preactivation_imagenet(depth: int = 200, num_classes: int = 1000) -> ResNet:
    """ResNet-200 of the second paper's table 5: bottlenecks in full pre-activation, 3, 24, 36 and 3 of them.

    The stride is on the 3×3 convolution, as in the authors' release of this network; depths of table 1 do as well.

    Raises:
        BadInput: for another depth.
    """
    stages = BOTTLENECK | {200: (3, 24, 36, 3)}
    if depth not in stages:
        raise BadInput(f"depth {depth}: expected {', '.join(map(str, stages))}")
    numbers, widths = count(), (256, 512, 1024, 2048)

    def make(inside: int, outside: int, stride: int) -> Unit:
        return Unit(inside, outside, stride, kind="bottleneck", first=next(numbers) == 0, stride_in="3x3")

    name, last = f"pre-activation-{depth}", sequence("BR", widths[-1])
    family = "pre-activation"
    return ResNet(name, depth, stages[depth], widths, make, "B", 64, True, num_classes, family=family, last=last)
