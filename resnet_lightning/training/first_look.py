"""A first look at a network and an optimizer that are not known yet, before a run is begun."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from resnet_lightning.compat import exchange_compiled
from resnet_lightning.errors import BadInput
from resnet_lightning.networks import inspection
from resnet_lightning.training.scores import class_scores


def is_unfinished(network: nn.Module) -> bool:
    """Whether it has lazy layers, which get their weights when they see the first images."""
    return any(is_lazy(tensor) for tensor in (*network.parameters(), *network.buffers()))


def make_lazy_layers(network: nn.Module, data: Any) -> None:
    """Gives lazy layers their weights: an optimizer or a checkpoint needs them before the first images come.

    Raises:
        BadInput: if the data module does not say how large images are, or the network does not take them.
    """
    size = getattr(data, "image_size", None)
    name = inspection.name(network)
    if not isinstance(size, int):
        raise BadInput(f"{name} has lazy layers: they need the image_size (pixels a side) of {type(data).__name__}")
    training = network.training
    with torch.no_grad(), blaming(name, (2, 3, size, size)):
        network.eval()(torch.zeros(2, 3, size, size))
    network.train(training)


def try_network(network: nn.Module, images: Tensor, classes: int) -> None:
    """Raises BadInput unless a network has scores of so many classes for some images; nothing of it changes.

    Args:
        images: float32 [B, C, H, W].
    """
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    name = inspection.name(network)
    with torch.random.fork_rng(devices=[]), torch.no_grad(), blaming(name, tuple(images.shape)):
        code = exchange_compiled(network, None)  # would take a minute, and is for another batch
        try:
            scores = class_scores(network, images)
        finally:
            exchange_compiled(network, code)
        for key, buffer in network.named_buffers():
            buffer.copy_(before[key])
    if scores.shape[1] < classes:
        raise BadInput(f"{name} has scores of {scores.shape[1]:,} classes, and the data has {classes:,}")


@contextmanager
def blaming(name: str, shape: tuple[int, ...]) -> Iterator[None]:
    """Whatever a network raises becomes BadInput with the shape of the images."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        size = "×".join(map(str, shape[1:]))
        raise BadInput(f"{name} does not work with {shape[0]} images of {size}: {reason}") from error


def try_optimizer(make: Callable[[Any], Optimizer], network: nn.Module, device: torch.device) -> None:
    """Raises BadInput for an optimizer that cannot be made for a network, or fails at its first step."""
    try:
        make(network.parameters())
        weight = nn.Parameter(torch.ones(2, 2, 3, 3, device=device))
        convolutions = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d)]
        if convolutions and convolutions[0].is_contiguous(memory_format=torch.channels_last):
            weight = nn.Parameter(weight.detach().to(memory_format=torch.channels_last))
        weight.grad = torch.ones_like(weight)
        make([weight]).step(lambda: torch.ones((), device=device))  # type: ignore[arg-type, return-value]
    except (ValueError, RuntimeError) as error:
        advice = "; it may need --model.channels_last=false" if "view size" in str(error) else ""
        raise BadInput(f"model.optimizer: {error}{advice}") from error
