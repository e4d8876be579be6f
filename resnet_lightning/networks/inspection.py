"""What the rest of the package asks of a network, and the answers for a network that says nothing of itself.

Any torch.nn.Module that makes class scores of images can be trained. It may define, and this file alone reads:

    name                    as tables say it; else its class's name
    family                  the kind that it is compared within, such as "plain" or "ResNet"; else its class's name
    depth                   number of layers with weights; else convolutions and linear layers, counted
    shortcut                "A", "B", "C" or "none" (section 4.1); else "unknown"
    checkpoint_segments     a setting that saves memory, which `summary` points at; else None
    fully_convolutional()   features and head, so that it can be tested on images of any size; else it cannot

A block inside the network, of any class, defines as_block() -> Block. Then its shortcut counts as no layer, the
response of each of its layers is taken where it says, and lesions can delete it. docs/extending.md has an example.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from torch import Tensor, nn

Halves = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]


@dataclass(frozen=True)
class Block:
    """A block as it says of itself: after(F(x) + shortcut(x)).

    Deleted, F(x) is zero. So a layer of DenseNet, which appends F(x) to x, has a shortcut that appends zeros.

    Attributes:
        layers: its layers with weights in order, by their names inside the block, each with the module whose output is
            the layer's response: after batch normalisation, before the ReLU or the addition (figure 7).
        residual: the module whose output is F(x).
        shortcut: makes of x what F(x) is added to; of a plain block, what option A would make.
        keeps_shape: whether the block takes and gives the same shape. Neighbours that do can be swapped.
        after: what follows the addition.
        plain: whether nothing is added to F(x).
    """

    layers: Mapping[str, nn.Module]
    residual: nn.Module
    shortcut: nn.Module
    keeps_shape: bool
    after: nn.Module = field(default_factory=nn.Identity)
    plain: bool = False


class Layer(NamedTuple):
    """A module with weights, and the module whose output is its response."""

    module: nn.Module
    response: nn.Module


def name(network: nn.Module) -> str:
    """As tables say it."""
    return str(getattr(network, "name", type(network).__name__))


def about(network: nn.Module) -> dict[str, Any]:
    """What a run records of its network: network (its name), family, depth and shortcut."""
    return {
        "network": name(network),
        "family": getattr(network, "family", type(network).__name__),
        "depth": getattr(network, "depth", sum(1 for _ in _weighted(network))),
        "shortcut": getattr(network, "shortcut", "unknown"),
    }


def checkpoint_segments(network: nn.Module) -> int | None:
    """Groups of blocks whose activations are computed again in the backward pass; None if it cannot do so."""
    return getattr(network, "checkpoint_segments", None)


def fully_convolutional(network: nn.Module) -> Halves | None:
    """The two halves of a network that ends in global average pooling; None for others.

    The first makes features [B, C, h, w] of images [B, 3, H, W] of any size. The second makes class scores
    [..., classes] of features [..., C] that are averaged over some places.
    """
    halves = getattr(network, "fully_convolutional", None)
    return halves() if halves else None


def layers(network: nn.Module) -> dict[str, Layer]:
    """The layers of figure 7 by name, in order: convolutions and what blocks name, but no shortcut and no classifier.

    6n+1 of a CIFAR-10 network of 6n+2 layers. Of a convolution outside of blocks, the response is the output of the
    batch normalisation that stands directly behind it in the same module, or else its own.
    """
    return {key: layer for key, layer in _weighted(network) if not isinstance(layer.module, nn.Linear)}


def _weighted(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    if block := _block(module):
        for key, response in block.layers.items():
            yield prefix + key, Layer(module.get_submodule(key), response)
        return
    children = list(module.named_children())
    followers = [child for _, child in children[1:]] + [nn.Identity()]
    for (key, child), follower in zip(children, followers, strict=False):
        if key == "downsample":  # what torchvision's blocks call their shortcuts
            continue
        if isinstance(child, nn.Conv2d | nn.Linear):
            yield prefix + key, Layer(child, follower if isinstance(follower, nn.BatchNorm2d) else child)
        else:
            yield from _weighted(child, f"{prefix}{key}.")


def blocks(network: nn.Module) -> dict[str, Block]:
    """The blocks by name, such as layer1.0, in order; not those inside of others."""
    found: dict[str, Block] = {}
    for key, module in network.named_modules():
        block = _block(module)
        if block and not any(key.startswith(f"{outer}.") for outer in found):
            found[key] = block
    return found


def _block(module: Any) -> Block | None:
    return module.as_block() if hasattr(module, "as_block") else None


def swappable(network: nn.Module) -> list[tuple[str, str]]:
    """Names of blocks that stand side by side in a Sequential and keep the shape, so that they can change places."""
    found, pairs = blocks(network), []
    for one, other in pairwise(found):
        stage = network.get_submodule(one.rpartition(".")[0])
        beside = pairwise(stage.children()) if isinstance(stage, nn.Sequential) else ()
        pair = (network.get_submodule(one), network.get_submodule(other))
        if pair in beside and found[one].keeps_shape and found[other].keeps_shape:
            pairs.append((one, other))
    return pairs
