"""Plain and residual networks from one builder: those of table 1 for ImageNet and of section 4.2 for CIFAR-10."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from resnet_lightning.errors import BadInput
from resnet_lightning.networks.blocks import BasicBlock, Bottleneck, StrideIn
from resnet_lightning.networks.initialisation import Fan, he_initialisation, rescale_to_fan_out
from resnet_lightning.networks.recomputing import recomputed
from resnet_lightning.networks.shortcuts import Shortcut, Zeros, normalisation

# Table 1: blocks of each stage by depth.
BASIC = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class ResNet(nn.Module):
    """A stem, stages of blocks, global average pooling and a fully connected layer.

    Images [B, 3, H, W] become class scores (logits) [B, num_classes]; any H and W work. Every stage after the first
    halves the map. Parameters are named as in torchvision.

    Args:
        name: as the paper's tables say it.
        depth: number of layers with weights, shortcuts not counted.
        blocks: number of blocks of each stage.
        widths: channels at the end of each stage.
        block: makes a block from its input channels, channels and stride.
        shortcut: "A", "B" or "C" (section 4.1), or "none" for the plain network; for readers of the network.
        stem: channels after the first convolution; it is 7×7 with stride 2 and max pooling (table 1) if large_images,
            else 3×3.
        num_classes: number of classes.
        checkpoint_segments: keep only the activations at the borders of so many groups of blocks and compute the
            others again in the backward pass: less memory, one more forward pass, the same result. 0 keeps all,
            and so does None, of networks that have no such setting.
        batch_norm: False leaves batch normalisation out; the convolutions have biases instead.
        family: what networks with such blocks are called; a network without shortcuts is plain.
        last: what follows the last block, such as the last activation of pre-activation.
    """

    def __init__(
        self,
        name: str,
        depth: int,
        blocks: tuple[int, ...],
        widths: tuple[int, ...],
        block: Callable[[int, int, int], nn.Module],
        shortcut: Shortcut,
        stem: int,
        large_images: bool,
        num_classes: int,
        checkpoint_segments: int | None = None,
        batch_norm: bool = True,
        family: str = "ResNet",
        last: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise BadInput(f"num_classes {num_classes}: expected a number of classes, at least 1")
        self.name = name
        self.family = "plain" if shortcut == "none" else family
        self.depth = depth
        self.shortcut = shortcut
        self.checkpoint_segments = checkpoint_segments
        kernel, stride = (7, 2) if large_images else (3, 1)
        self.conv1 = nn.Conv2d(3, stem, kernel, stride, padding=kernel // 2, bias=not batch_norm)
        self.bn1 = normalisation(stem, batch_norm)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if large_images else nn.Identity()
        channels = stem
        self.stages = [f"layer{number}" for number in range(1, len(blocks) + 1)]
        for stage, count, width in zip(self.stages, blocks, widths, strict=True):
            layers = []
            for number in range(count):
                layers.append(block(channels, width, 2 if stage != "layer1" and number == 0 else 1))
                channels = width
            setattr(self, stage, nn.Sequential(*layers))
        self.last = last
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        self.apply(he_initialisation)

    def features(self, images: Tensor) -> Tensor:
        """What the global average pooling sees: [B, channels, h, w], 7×7 for ImageNet's images of 224×224."""
        x: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        blocks = [block for stage in self.stages for block in getattr(self, stage)]
        if self.checkpoint_segments and self.training:
            size = -(-len(blocks) // self.checkpoint_segments)
            for start in range(0, len(blocks), size):
                segment = nn.Sequential(*blocks[start : start + size])
                x = recomputed(segment, x)
        else:
            for block in blocks:
                x = block(x)
        return x if self.last is None else self.last(x)

    def fully_convolutional(self) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        """Features [B, channels, h, w] of images, and class scores [..., num_classes] of features [..., channels]."""
        return self.features, self.fc

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.avgpool(self.features(images)).flatten(1))  # type: ignore[no-any-return]


def cifar_resnet(
    depth: int,
    shortcut: Shortcut = "A",
    num_classes: int = 10,
    checkpoint_segments: int = 0,
    batch_norm: bool = True,
    dropout: float = 0.0,
    maxout: int = 1,
    zeros: Zeros = "after",
    fan: Fan = "in",
) -> ResNet:
    """The CIFAR-10 networks of section 4.2: 6n+2 weighted layers, 2n of 16, 32 and 64 channels after the first.

    Args:
        batch_norm: False leaves batch normalisation out, as no network of the paper does, to see what it is good for.
        dropout, maxout: of each block, as BasicBlock has them. The paper leaves such regularisation of its 1202 layers
            to others.
        zeros: where shortcuts of option A have the zeros of the new channels, which the paper does not say.
        fan: of the convolutions' initial weights, which the paper does not say either.

    Raises:
        BadInput: for a depth that is not 6n+2, an unknown shortcut, place of zeros or fan, a dropout that is no
            probability below 1, or no pieces of maxout.
    """
    n, rest = divmod(depth - 2, 6)
    if n < 1 or rest:
        raise BadInput(f"depth {depth}: a CIFAR-10 network has 6n+2 layers, such as 20, 32, 44, 56, 110 or 1202")
    check_probability("dropout", dropout)
    if maxout < 1:
        raise BadInput(f"maxout {maxout}: expected a number of linear pieces, or 1 for a ReLU")
    if zeros not in ("after", "around"):
        raise BadInput(f"zeros {zeros!r}: expected after, or around, the channels that there are")
    if fan not in ("in", "out"):
        raise BadInput(f"fan {fan!r}: expected in or out")
    block = partial(
        BasicBlock,
        shortcut=check_shortcut(shortcut),
        batch_norm=batch_norm,
        dropout=dropout,
        maxout=maxout,
        zeros=zeros,
    )
    name, widths = name_of(depth, shortcut, usual="A") + ("" if batch_norm else " without BN"), (16, 32, 64)
    name += " dropout" * bool(dropout) + " maxout" * (maxout > 1)
    network = ResNet(
        name, depth, (n,) * 3, widths, block, shortcut, 16, False, num_classes, checkpoint_segments, batch_norm
    )
    if fan == "out":
        rescale_to_fan_out(network)
    return network


def imagenet_resnet(
    depth: int,
    shortcut: Shortcut,
    num_classes: int = 1000,
    stride_in: StrideIn = "1x1",
    checkpoint_segments: int = 0,
) -> ResNet:
    """The ImageNet networks of table 1: basic blocks for 18 and 34 layers, bottlenecks for 50, 101 and 152.

    The paper gives 18 and 34 layers shortcuts of option A (B and C for comparison), and deeper networks option B. With
    option B, parameters have torchvision's names and shapes, and with stride_in "3x3" the scores are torchvision's too.

    Args:
        stride_in: which convolution of a bottleneck takes the stride: see Bottleneck. Basic blocks have no choice.

    Raises:
        BadInput: for a depth that is not in table 1, an unknown shortcut, or an unknown stride_in.
    """
    check_shortcut(shortcut)
    if stride_in not in ("1x1", "3x3"):
        raise BadInput(f"stride_in {stride_in!r}: expected 1x1 (the paper) or 3x3 (torchvision)")
    block: Callable[[int, int, int], nn.Module]
    if depth in BASIC:
        blocks, growth, usual = BASIC[depth], 1, "A"
        block = partial(BasicBlock, shortcut=shortcut)
    elif depth in BOTTLENECK:
        blocks, growth, usual = BOTTLENECK[depth], 4, "B"
        block = partial(Bottleneck, shortcut=shortcut, stride_in=stride_in)
    else:
        raise BadInput(f"depth {depth}: expected one of table 1: {', '.join(map(str, [*BASIC, *BOTTLENECK]))}")
    name = name_of(depth, shortcut, usual) + (" v1.5" if depth in BOTTLENECK and stride_in == "3x3" else "")
    widths = tuple(growth * width for width in (64, 128, 256, 512))
    return ResNet(name, depth, blocks, widths, block, shortcut, 64, True, num_classes, checkpoint_segments)


def check_shortcut(shortcut: Shortcut) -> Shortcut:
    """The shortcut itself, or BadInput."""
    if shortcut not in ("A", "B", "C", "none"):
        raise BadInput(f"shortcut {shortcut!r}: expected A, B, C, or none for a plain network")
    return shortcut


def check_narrow(narrow: int) -> None:
    """Refuse what no width can be divided by.

    Raises:
        BadInput: unless it is 1, 2, 4 or 8.
    """
    if narrow not in (1, 2, 4, 8):
        raise BadInput(f"narrow {narrow}: expected what all widths are divided by, 1, 2, 4 or 8")


def narrower(narrow: int) -> str:
    """What the name of a network says of widths that were divided.

    >>> narrower(4)
    ', a quarter as wide'
    """
    return {1: "", 2: ", half as wide", 4: ", a quarter as wide", 8: ", an eighth as wide"}[narrow]


def check_probability(name: str, value: float) -> None:
    """Raises BadInput unless something can be left out with such a probability."""
    if not 0 <= value < 1:
        raise BadInput(f"{name} {value}: expected a probability, at least 0 and below 1")


def name_of(depth: int, shortcut: Shortcut, usual: str) -> str:
    """As the paper's tables say it: plain-20, ResNet-20 with the option that is usual for the depth, ResNet-20 B."""
    if shortcut == "none":
        return f"plain-{depth}"
    return f"ResNet-{depth}" + ("" if shortcut == usual else f" {shortcut}")
