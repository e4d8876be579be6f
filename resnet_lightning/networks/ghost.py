"""Batch normalisation as several devices do it, on one: the paper's 128 images "on two GPUs" are normalised by 64."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lightning.errors import BadInput


class GhostBatchNorm2d(nn.BatchNorm2d):
    """Normalises each part of a training batch [B, C, H, W] by its own statistics; nothing else differs.

    The moving averages are those of the first part alone, as DistributedDataParallel leaves them: each device has its
    own, and the first one's are what is broadcast, saved and tested.

    Args of the instance, set by `normalise_by`:
        images: of one part; the batch is cut in this order.
    """

    images: int

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or len(x) <= self.images:
            return super().forward(x)
        first, *others = x.split(self.images)
        parts = [super().forward(first)]
        parts += [F.batch_norm(part, None, None, self.weight, self.bias, True, 0.0, self.eps) for part in others]
        return torch.cat(parts)


def normalise_by(network: nn.Module, images: int) -> None:
    """Lets every batch normalisation of a network take its training statistics over so many images.

    Raises:
        BadInput: for a number below 1.
    """
    if images < 1:
        raise BadInput(f"batch_norm_images {images}: expected a number of images, at least 1")
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = GhostBatchNorm2d  # keeps parameters, names and hooks
            setattr(module, "images", images)  # noqa: B010 - a Module's attributes are tensors to the type checker
