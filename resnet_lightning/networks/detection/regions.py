"""Fast R-CNN's part of the detector: regions are pooled, classified, and their boxes moved (section 4.3)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import MultiScaleRoIAlign, RoIPool

STRIDE = 16  # pixels of an image between two places of the features


class RegionPool(nn.Module):
    """RoI max pooling (Girshick, 2015) with the interface of MultiScaleRoIAlign, which is the modern choice."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.pool = RoIPool(side, 1 / STRIDE)

    def forward(self, features: dict[str, Tensor], boxes: list[Tensor], _: list[tuple[int, int]]) -> Tensor:
        return self.pool(features["0"].float(), boxes)  # type: ignore[no-any-return]


class RegionAlign(MultiScaleRoIAlign):  # type: ignore[misc]
    """RoIAlign (He et al., 2017): bilinear interpolation in place of rounding."""

    def __init__(self, side: int) -> None:
        super().__init__(["0"], side, sampling_ratio=2)

    def forward(self, features: dict[str, Tensor], boxes: list[Tensor], sizes: list[tuple[int, int]]) -> Tensor:
        return super().forward({"0": features["0"].float()}, boxes, sizes)  # type: ignore[no-any-return]


def sibling_layers(width: int, num_classes: int) -> FastRCNNPredictor:
    """The two last layers, for classes and boxes, with the initialisation of Fast R-CNN."""
    layers = FastRCNNPredictor(width, num_classes)
    for layer, deviation in ((layers.cls_score, 0.01), (layers.bbox_pred, 0.001)):
        nn.init.normal_(layer.weight, std=deviation)
        nn.init.zeros_(layer.bias)
    return layers


class Regions(RoIHeads):  # type: ignore[misc]
    """torchvision's RoIHeads with the loss of Fast R-CNN, which torchvision's has with a beta of 1/9."""

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> Any:
        if not self.training:
            return super().forward(features, proposals, image_shapes)
        proposals, _, labels, moves = self.select_training_samples(proposals, targets)
        scores, moved = self.box_predictor(self.box_head(self.box_roi_pool(features, proposals, image_shapes)))
        return [], region_losses(scores.float(), moved.float(), torch.cat(labels), torch.cat(moves))


def region_losses(scores: Tensor, moved: Tensor, labels: Tensor, moves: Tensor) -> dict[str, Tensor]:
    """Cross entropy, and smooth L1 with a beta of 1 over the foreground; both as means over all regions.

    Args:
        scores: [R, classes].
        moved: predicted changes of the boxes for each class [R, 4 · classes].
        labels: int64 [R], 0 is the background.
        moves: the right changes [R, 4].
    """
    foreground = torch.where(labels > 0)[0]
    own = moved.unflatten(1, (-1, 4))[foreground, labels[foreground]]
    box = F.smooth_l1_loss(own, moves[foreground], beta=1.0, reduction="sum") / labels.numel()
    return {"loss_classifier": F.cross_entropy(scores, labels), "loss_box_reg": box}
