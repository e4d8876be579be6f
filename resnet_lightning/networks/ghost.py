"""Batch normalisation as several devices do it, on one: the paper's 128 images "on two GPUs" are normalised by 64."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lightning.compat import change_class
from resnet_lightning.errors import BadInput


class GhostBatchNorm2d(nn.BatchNorm2d):
    """Normalises a training batch [B, C, H, W] in parts of so many images, each by its own statistics.

    Part r, images r·N to (r+1)·N of the batch, is what device r of DistributedDataParallel would get. Outputs and
    gradients are those of B/N devices with N images each. So are the running statistics: they follow the first part
    alone, since DistributedDataParallel overwrites every device's with those of the first. A plain average (momentum
    None, as for `bn_batches`) takes in all parts, as the average over all devices does. Where images are missing from
    a batch, the last part is smaller. Evaluation is that of any BatchNorm2d.

    Attributes:
        images: N, of one part; `normalise_by` sets it.
    """

    images: int

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or len(x) <= self.images:
            return super().forward(x)
        first, *others = x.split(self.images)  # parts keep the memory layout, and so does their concatenation
        outputs = [super().forward(first)]
        for part in others:
            if self.momentum is None:
                outputs.append(super().forward(part))
            else:
                outputs.append(F.batch_norm(part, None, None, self.weight, self.bias, training=True, eps=self.eps))
        return torch.cat(outputs)


def normalise_by(network: nn.Module, images: int) -> None:
    """Lets every batch normalisation inside a network take its training statistics over so many images.

    Parameters and buffers stay the same tensors under the same names.

    Raises:
        BadInput: for a number below 1.
    """
    if images < 1:
        raise BadInput(f"batch_norm_images {images}: expected a number of images, at least 1")
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            # Not a new module in its place: hooks, momentum and everything else that is set stays.
            change_class(module, GhostBatchNorm2d)
            cast(GhostBatchNorm2d, module).images = images
