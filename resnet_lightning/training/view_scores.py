"""One answer from several views of an image: ten crops, or all positions at several scales (section 3.4).

Scores are the logarithms of mean class probabilities: their cross entropy is that of the mean, and their order is the
mean's.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lightning.data.views import Crops, Scales, Views
from resnet_lightning.errors import BadInput
from resnet_lightning.networks import inspection
from resnet_lightning.training.scores import class_scores


def view_scores(network: nn.Module, views: Views) -> tuple[Tensor, Tensor | None]:
    """Class scores [B, classes] of images seen once or in several views; for Scales, also those without mirroring."""
    if isinstance(views, Crops):
        return crop_scores(network, views), None
    if isinstance(views, Scales):
        return scale_scores(network, views)
    return class_scores(network, views), None


def crop_scores(network: nn.Module, crops: Crops) -> Tensor:
    """Scores [B, classes] of the probabilities averaged over all crops and their mirror images."""
    views = [view for crop in crops.images.unbind(1) for view in (crop, crop.flip(-1))]
    return logarithm(torch.stack([class_scores(network, view).float().softmax(1) for view in views]).mean(0))


def scale_scores(network: nn.Module, scales: Scales) -> tuple[Tensor, Tensor]:
    """Scores [B, classes] of the probabilities averaged over positions, then scales, with and without mirroring.

    Raises:
        BadInput: for a network that does not say how it is applied to images of any size.
    """
    halves = inspection.fully_convolutional(network)
    if halves is None:
        raise BadInput(
            "multi_scale needs a network that ends in global average pooling and defines fully_convolutional(), not "
            f"{inspection.name(network)}: ten_crop and center take any"
        )
    upright = [dense_probabilities(*halves, images, scales.window) for images in scales.images]
    mirrored = [dense_probabilities(*halves, images.flip(-1), scales.window) for images in scales.images]
    return logarithm(torch.stack(upright + mirrored).mean(0)), logarithm(torch.stack(upright).mean(0))


def dense_probabilities(
    features: Callable[[Tensor], Tensor], head: Callable[[Tensor], Tensor], images: Tensor, window: int
) -> Tensor:
    """Probabilities [B, classes], averaged over all positions, of the network applied fully convolutionally."""
    maps = features(images)
    window_size = (min(window, maps.shape[2]), min(window, maps.shape[3]))
    pooled = F.avg_pool2d(maps, window_size, stride=1)
    scores = head(pooled.permute(0, 2, 3, 1))  # the last layer as a convolution of 1×1
    return scores.float().softmax(-1).mean((1, 2))


def logarithm(probabilities: Tensor) -> Tensor:
    """Finite where a probability is too small for a float32."""
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()
