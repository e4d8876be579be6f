"""Plain and residual networks from one builder; the CIFAR-10 family of section 4.2."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from resnet_lightning.errors import BadInput
from resnet_lightning.networks.blocks import BasicBlock
from resnet_lightning.networks.shortcuts import Shortcut


class ResNet(nn.Module):
    """A 3×3 convolution, stages of blocks, global average pooling and a fully connected layer.

    Images [B, 3, H, W] become class scores (logits) [B, num_classes]; any H and W work. Every stage after the first
    halves the map. Parameters are named as in torchvision.

    Args:
        blocks: number of blocks of each stage.
        widths: channels of each stage.
        shortcut: "A", "B" or "C" (section 4.1), or "none" for the plain network.
        num_classes: number of classes.
        checkpoint_segments: keep only the activations at the borders of so many groups of blocks and compute the
            others again in the backward pass: less memory, one more forward pass, the same result. 0 keeps all.
    """

    def __init__(
        self,
        blocks: tuple[int, ...],
        widths: tuple[int, ...],
        shortcut: Shortcut,
        num_classes: int,
        checkpoint_segments: int = 0,
    ) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.depth = 2 * sum(blocks) + 2
        self.checkpoint_segments = checkpoint_segments
        self.conv1 = nn.Conv2d(3, widths[0], kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        channels = widths[0]
        self.stages = [f"layer{number}" for number in range(1, len(blocks) + 1)]
        for stage, count, width in zip(self.stages, blocks, widths, strict=True):
            layers = []
            for block in range(count):
                stride = 2 if stage != "layer1" and block == 0 else 1
                layers.append(BasicBlock(channels, width, stride, shortcut))
                channels = width
            setattr(self, stage, nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        self.apply(he_initialisation)

    @property
    def name(self) -> str:
        """As the paper's tables say it: plain-20, ResNet-20 (option A), ResNet-20 B."""
        if self.shortcut == "none":
            return f"plain-{self.depth}"
        return f"ResNet-{self.depth}" + ("" if self.shortcut == "A" else f" {self.shortcut}")

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(images)))
        blocks = [block for stage in self.stages for block in getattr(self, stage)]
        if self.checkpoint_segments and self.training:
            size = -(-len(blocks) // self.checkpoint_segments)
            for start in range(0, len(blocks), size):
                segment = nn.Sequential(*blocks[start : start + size])
                x = checkpoint(segment, x, use_reentrant=False, context_fn=partial(_contexts, segment))
        else:
            for block in blocks:
                x = block(x)
        return self.fc(self.avgpool(x).flatten(1))  # type: ignore[no-any-return]


def cifar_resnet(depth: int, shortcut: Shortcut = "A", num_classes: int = 10, checkpoint_segments: int = 0) -> ResNet:
    """The CIFAR-10 networks of section 4.2: 6n+2 weighted layers, 2n of 16, 32 and 64 channels after the first.

    Raises:
        BadInput: for a depth that is not 6n+2, or an unknown shortcut.
    """
    n, rest = divmod(depth - 2, 6)
    if n < 1 or rest:
        raise BadInput(f"depth {depth}: a CIFAR-10 network has 6n+2 layers, such as 20, 32, 44, 56, 110 or 1202")
    if shortcut not in ("A", "B", "C", "none"):
        raise BadInput(f"shortcut {shortcut!r}: expected A, B, C, or none for a plain network")
    return ResNet((n, n, n), (16, 32, 64), shortcut, num_classes, checkpoint_segments)


def he_initialisation(module: nn.Module) -> None:
    """Normal weights of variance 2 / fan-in (the paper's reference 13, and the default of the framework it used)."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _contexts(segment: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _frozen_statistics(segment)


@contextmanager
def _frozen_statistics(segment: nn.Module) -> Iterator[None]:
    """The second forward pass of a checkpointed segment must not move the running statistics a second time."""
    norms = [module for module in segment.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        norm.num_batches_tracked = None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
