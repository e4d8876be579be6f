"""Box refinement and box voting, by which the paper improves a trained detector when it is tested (appendix B)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou, clip_boxes_to_image, remove_small_boxes

VOTING_OVERLAP = 0.5  # of boxes that vote for one another (Gidaris and Komodakis, 2015)

# From regions [R, 4] of each image to what the sibling layers see of all of them, [all R, width].
Vectors = Callable[[list[Tensor]], Tensor]


def refined(
    heads: Any, vectors: Vectors, proposals: list[Tensor], image_shapes: list[tuple[int, int]]
) -> list[dict[str, Tensor]]:
    """The detections of each image: regions are pooled anew from the moved boxes, and both rounds answer together.

    "We pool a new feature from the regressed box and obtain a new classification score and a new regressed box. We
    combine these 300 new predictions with the original 300 predictions." A proposal has a box for each class; the
    paper does not say from which is pooled. Here it is that of the object with the highest score.

    Args:
        heads: torchvision's RoIHeads, which classify and move regions.
        vectors: pools regions, and what comes between that and the sibling layers.
        proposals: of each image [R, 4], in its pixels after resizing.
        image_shapes: height and width of each image.
    """
    once = _answers(heads, vectors, proposals, image_shapes)
    best = [
        boxes[torch.arange(len(boxes), device=boxes.device), scores.argmax(1)] for boxes, scores in once
    ]  # the background has no column
    twice = _answers(heads, vectors, best, image_shapes)
    return [
        _detections(heads, *(torch.cat(both) for both in zip(*pair, strict=True)))
        for pair in zip(once, twice, strict=True)
    ]


def _answers(
    heads: Any, vectors: Vectors, regions: list[Tensor], image_shapes: list[tuple[int, int]]
) -> list[tuple[Tensor, Tensor]]:
    """Boxes [R, classes, 4] and scores [R, classes] of each image, without the background."""
    logits, moves = heads.box_predictor(vectors(regions))
    counts = [len(own) for own in regions]
    # Without any region, decode gives no shape of its own.
    boxes = heads.box_coder.decode(moves, regions).view(*logits.shape, 4).split(counts)
    scores = logits.softmax(-1).split(counts)
    return [
        (clip_boxes_to_image(own, shape)[:, 1:], score[:, 1:])
        for own, score, shape in zip(boxes, scores, image_shapes, strict=True)
    ]


def _detections(heads: Any, boxes: Tensor, scores: Tensor) -> dict[str, Tensor]:
    """What torchvision's RoIHeads do with boxes and scores, class by class, and then box voting."""
    labels = torch.arange(1, scores.shape[1] + 1, device=scores.device).expand_as(scores)
    boxes, scores, labels = boxes.flatten(0, 1), scores.flatten(), labels.flatten()
    kept = torch.where(scores > heads.score_thresh)[0]
    kept = kept[remove_small_boxes(boxes[kept], min_size=1e-2)]
    boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
    kept = batched_nms(boxes, scores, labels, heads.nms_thresh)[: heads.detections_per_img]
    return {"boxes": voted(kept, boxes, scores, labels), "scores": scores[kept], "labels": labels[kept]}


def voted(kept: Tensor, boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """The kept boxes [K, 4], each the mean of those of its class around it, weighted by their scores.

    Args:
        kept: int64 [K], places of the boxes that no higher one has suppressed.
        boxes: all boxes [N, 4], before any was suppressed.
        scores: of all [N], above 0.
        labels: of all [N].
    """
    near = (box_iou(boxes[kept], boxes) >= VOTING_OVERLAP) & (labels[kept][:, None] == labels)
    weights: Tensor = near * scores
    # No product of matrices, which mixed precision would round to some pixels.
    return (weights[..., None] * boxes).sum(1) / weights.sum(1, keepdim=True)
