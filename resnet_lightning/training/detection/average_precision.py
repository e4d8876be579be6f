"""The average precision of a set of images, by the rules that its data module names."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from resnet_lightning.errors import BadInput
from resnet_lightning.training.detection.coco_ap import coco_ap
from resnet_lightning.training.detection.voc_ap import Curve, curves, mean_ap

IMPROVED = ("refined", "multi_scale")  # evaluations of appendix B; the second adds to the first, as in Table 9
METRICS = ("voc07", "voc", "coco")  # 11 points, area, and COCO's


class Measured(NamedTuple):
    """In percent.

    Args:
        values: mAP, and of COCO, where that is mAP@[.5, .95], mAP50 too.
        classes: AP of each class, by its name; not a number without objects.
        curves: of each class at an overlap of a half; none of COCO.
    """

    values: dict[str, float]
    classes: dict[str, float]
    curves: dict[str, Curve]


def measure(metric: str, found: Sequence[Any], there: Sequence[Any], class_names: Sequence[str]) -> Measured:
    """How good detections are.

    Args:
        metric: voc07, voc or coco.
        found: boxes, labels and scores of each image.
        there: its target.
    """
    if metric == "coco":
        ap = coco_ap(found, there, len(class_names))
        classes = dict(zip(class_names, ap.classes, strict=True))
        return Measured({"mAP": ap.mean, "mAP50": ap.at_half}, classes, {})
    own = dict(zip(class_names, curves(found, there, len(class_names)), strict=True))
    each = {name: curve.eleven_points() if metric == "voc07" else curve.area() for name, curve in own.items()}
    return Measured({"mAP": mean_ap(list(each.values()))}, each, own)


def metric_of(data: Any) -> str:
    """What a data module measures by; BadInput if it says nothing known."""
    metric = getattr(data, "metric", None)
    if metric not in METRICS:
        raise BadInput(f"{type(data).__name__}.metric {metric}: a detector expects one of {', '.join(METRICS)}")
    return str(metric)
