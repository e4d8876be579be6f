"""What stays as it was in classification: batch normalisation everywhere, and the first stages (appendix A)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from resnet_lightning.errors import BadInput


def fix_batch_norm(network: nn.Module) -> None:
    """Replaces batch normalisation by a linear layer of the same statistics and names, in place; it is not trained."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                fixed = FrozenBatchNorm2d(child.num_features, eps=child.eps)
                fixed.load_state_dict(child.state_dict())
                setattr(module, name, fixed)


def fix_stages(body: nn.Sequential, stages: int) -> None:
    """Excepts the first stages of a body from training.

    Raises:
        BadInput: if it has fewer.
    """
    if not 0 <= stages <= len(body):
        raise BadInput(f"fixed_stages {stages}: expected 0 to {len(body)}, as {', '.join(dict(body.named_children()))}")
    body[:stages].requires_grad_(False)


@contextmanager
def measuring(network: nn.Module) -> Iterator[None]:
    """Forward passes within replace the fixed statistics of every layer by those of its own input.

    So a network that nobody has trained gets statistics: each layer sees what those before it have normalised.
    """
    layers = [module for module in network.modules() if isinstance(module, FrozenBatchNorm2d)]
    handles = [layer.register_forward_pre_hook(measure) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def measure(layer: Any, inputs: tuple[Tensor]) -> None:
    [x] = inputs
    variance, mean = torch.var_mean(x.detach().float(), (0, 2, 3))
    layer.running_mean.copy_(mean)
    layer.running_var.copy_(variance)


def is_untouched(network: nn.Module) -> bool:
    """Whether every fixed statistic is as it was made, mean 0 and variance 1: then nothing is normalised."""
    layers = [module for module in network.modules() if isinstance(module, FrozenBatchNorm2d)]
    return bool(layers) and all(
        not layer.running_mean.any() and bool((layer.running_var == 1).all()) for layer in layers
    )
