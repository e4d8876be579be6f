"""Testing at several scales: each region is seen at two of them, and the higher responses count (appendix B).

The features of an image are computed with shorter sides of 200, 400, 600, 800 and 1,000 pixels. For each region, two
adjacent scales are chosen; pooling and the layers after it work on both, and maxout merges what they say. Proposals are
those of the usual scale.
"""

from copy import copy
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

SHARES = (1 / 3, 2 / 3, 1.0, 4 / 3, 5 / 3)  # of the shorter side that was trained, 600 pixels in the paper
SIDE = 224 / 600  # of a region where it is seen best, of that side: as large as images of ImageNet (He et al., 2014)


class Level(NamedTuple):
    """The images at one scale.

    Args:
        features: by name [B, C, H, W].
        shapes: height and width of each image.
        stretch: of each image, what the pixels of boxes are multiplied with [4].
    """

    features: dict[str, Tensor]
    shapes: list[tuple[int, int]]
    stretch: list[Tensor]


def detect_at_scales(network: Any, images: list[Tensor]) -> Any:
    """The detections of each image [3, H, W], in its pixels.

    Args:
        network: the detector.
    """
    resized, _ = network.transform(images)
    features = {"0": network.backbone(resized.tensors)}
    proposals, _ = network.rpn(resized, features)
    usual = Level(features, resized.image_sizes, [boxes.new_ones(4) for boxes in proposals])
    levels = [usual if share == 1 else level(network, images, share, resized.image_sizes) for share in SHARES]
    vectors = partial(vectors_at_two_scales, network.roi_heads, levels, SIDE * network.transform.min_size[-1])
    found = network.roi_heads.detect(vectors, proposals, resized.image_sizes)
    return network.transform.postprocess(found, resized.image_sizes, [tuple(image.shape[-2:]) for image in images])


def level(network: Any, images: list[Tensor], share: float, shapes: list[tuple[int, int]]) -> Level:
    """The images resized to a share of the usual size, whose heights and widths are given."""
    transform = copy(network.transform)
    transform.min_size, transform.max_size = (round(share * transform.min_size[-1]),), round(share * transform.max_size)
    resized, _ = transform(images)
    stretch = [
        resized.tensors.new_tensor([to[1] / was[1], to[0] / was[0]]).repeat(2)
        for to, was in zip(resized.image_sizes, shapes, strict=True)
    ]
    return Level({"0": network.backbone(resized.tensors)}, resized.image_sizes, stretch)


def vectors_at_two_scales(heads: Any, levels: list[Level], best: float, regions: list[Tensor]) -> Tensor:
    """What the sibling layers see of regions [R, 4] of each image, at the usual size: [all R, width].

    Args:
        best: the side of a region, in pixels, at which it is seen best.
    """
    lower = [lower_level(boxes, best) for boxes in regions]
    merged = lower[0].new_full(
        (sum(map(len, lower)), heads.box_predictor.cls_score.in_features), -torch.inf, dtype=torch.float32
    )
    for number, (features, shapes, stretch) in enumerate(levels):
        seen = [(place == number) | (place == number - 1) for place in lower]
        boxes = [own[mask] * factor for own, mask, factor in zip(regions, seen, stretch, strict=True)]
        where = torch.cat(seen)
        merged[where] = merged[where].maximum(heads.vectors(features, shapes, boxes))
    return merged


def lower_level(regions: Tensor, best: float) -> Tensor:
    """The lower of the two adjacent scales between which each region [R, 4] would have the best side: int64 [R]."""
    sides = (regions[:, 2:] - regions[:, :2]).clamp(min=0).prod(1).sqrt()
    shares = torch.tensor(SHARES, device=regions.device)
    return (torch.searchsorted(shares, best / sides) - 1).clamp(0, len(SHARES) - 2)
