"""Batch normalisation's statistics as a plain average over training batches, as the authors tested their networks."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn


def average_statistics(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Replaces the moving averages by averages over these batches [B, 3, H, W] and over all processes."""
    update_bn(images, network)
    if not torch.distributed.is_initialized():
        return
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            for statistic in (module.running_mean, module.running_var):
                torch.distributed.all_reduce(statistic)
                statistic /= torch.distributed.get_world_size()
