"""Fast R-CNN's part of the detector: regions are pooled, classified, and their boxes moved (section 4.3)."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import RoIAlign, RoIPool

from resnet_lightning.networks.detection.refinement import Vectors, refined

STRIDE = 16  # pixels of an image between two places of the features


class RegionPool(nn.Module):
    """RoI max pooling (Girshick, 2015), or RoIAlign, bilinear interpolation in place of rounding (He et al., 2017).

    MultiScaleRoIAlign, whose interface this has, guesses the stride from the images' sizes, and errs for small ones.
    """

    def __init__(self, side: int, aligned: bool) -> None:
        super().__init__()
        self.pool = RoIAlign(side, 1 / STRIDE, sampling_ratio=2) if aligned else RoIPool(side, 1 / STRIDE)

    def forward(self, features: dict[str, Tensor], boxes: list[Tensor], _: list[tuple[int, int]]) -> Tensor:
        return self.pool(features["0"], boxes)  # type: ignore[no-any-return]


class SiblingLayers(FastRCNNPredictor):  # type: ignore[misc]
    """The two last layers, for classes and boxes, with the initialisation of Fast R-CNN; float32 whatever it is."""

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__(width, num_classes)
        for layer, deviation in ((self.cls_score, 0.01), (self.bbox_pred, 0.001)):
            nn.init.normal_(layer.weight, std=deviation)
            nn.init.zeros_(layer.bias)

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        scores, moved = super().forward(vectors)
        return scores.float(), moved.float()


class Proposing(RPNHead):  # type: ignore[misc]
    """torchvision's layers that score and move anchors; their answers are float32 whatever they were computed in."""

    def forward(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        scores, moves = super().forward(features)
        return [each.float() for each in scores], [each.float() for each in moves]


class Regions(RoIHeads):  # type: ignore[misc]
    """torchvision's RoIHeads with the loss of Fast R-CNN, which torchvision's has with a beta of 1/9.

    Where `context` is set, each region's vector is joined by that of the whole image; where `refines` is set, boxes
    are refined and vote when tested (appendix B).
    """

    context = False
    refines = False

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> Any:
        vectors = partial(self.vectors, features, image_shapes)
        if not self.training:
            return self.detect(vectors, proposals, image_shapes), {}
        proposals, _, labels, moves = self.select_training_samples(proposals, targets)
        scores, moved = self.box_predictor(vectors(proposals))
        return [], region_losses(scores, moved, torch.cat(labels), torch.cat(moves))

    def vectors(
        self, features: dict[str, Tensor], image_shapes: list[tuple[int, int]], regions: list[Tensor]
    ) -> Tensor:
        """What the sibling layers see of each image's regions [R, 4], all of them together [R, width].

        Context is the vector of the image as a whole, pooled and fed into the same layers as a region is.
        """
        own: Tensor = self.box_head(self.box_roi_pool(features, regions, image_shapes))
        if not self.context:
            return own
        whole = [boxes.new_tensor([[0, 0, w, h]]) for boxes, (h, w) in zip(regions, image_shapes, strict=True)]
        around: Tensor = self.box_head(self.box_roi_pool(features, whole, image_shapes))
        beside = torch.cat([one.expand(len(boxes), -1) for one, boxes in zip(around, regions, strict=True)])
        return torch.cat([own, beside], 1)

    def detect(
        self, vectors: Vectors, proposals: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        """Boxes, labels and scores of each image; see refined."""
        if self.refines:
            return refined(self, vectors, proposals, image_shapes)
        found = self.postprocess_detections(*self.box_predictor(vectors(proposals)), proposals, image_shapes)
        return [dict(zip(("boxes", "scores", "labels"), each, strict=True)) for each in zip(*found, strict=True)]


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
