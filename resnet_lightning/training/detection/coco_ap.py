"""The average precision of COCO (Table 8), by torchmetrics with faster-coco-eval, or with pycocotools."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from resnet_lightning.errors import BadInput

Boxes = Mapping[str, Tensor]

BACKENDS = ("faster_coco_eval", "pycocotools")  # the faster first
ALL_SIZES, MOST_DETECTIONS, AT_HALF = 0, -1, 0  # places in COCO's table of precisions


class CocoAP(NamedTuple):
    """In percent; not a number where there is no object.

    Args:
        mean: mAP@[.5, .95], over classes and the overlaps 0.5, 0.55 to 0.95.
        at_half: mAP@.5.
        classes: AP@[.5, .95] of each class, label 1 first.
        classes_at_half: AP@.5 of each.
    """

    mean: float
    at_half: float
    classes: tuple[float, ...]
    classes_at_half: tuple[float, ...]


def coco_ap(
    predictions: Sequence[Mapping[str, Tensor]], targets: Sequence[Mapping[str, Tensor]], classes: int
) -> CocoAP:
    """COCO's AP of at most 100 detections an image; crowds are neither hits nor misses.

    Args:
        predictions: of each image, boxes [D, 4], labels [D], scores [D].
        targets: of each image, in the same order, boxes [N, 4], labels [N], crowd [N], area [N].
        classes: how many, without the background.

    Raises:
        BadInput: if no package for it is installed.
    """
    from torchmetrics.detection import MeanAveragePrecision  # its import takes a second

    metric: Any = MeanAveragePrecision(
        # COCO's own thresholds: torchmetrics' are rounded to float32, and a recall of 7/10 then meets another one.
        iou_thresholds=np.linspace(0.5, 0.95, 10).tolist(),
        rec_thresholds=np.linspace(0, 1, 101).tolist(),
        extended_summary=True,  # for the classes: class_metrics evaluates everything anew for each of them
        backend=backend(),
        sync_on_compute=False,  # the predictions are those of all processes
    )
    metric.warn_on_many_detections = False
    found = [{name: each[name].cpu() for name in ("boxes", "labels", "scores")} for each in predictions]
    metric.update(found, [as_coco(each) for each in targets])
    summary = metric.compute()
    # [overlaps, recalls, classes, sizes, numbers of detections], -1 where there is no object
    precision = summary["precision"][..., ALL_SIZES, MOST_DETECTIONS]
    seen = {int(label): place for place, label in enumerate(summary["classes"].reshape(-1).tolist())}
    tables = [precision[:, :, seen[label]] if label in seen else torch.empty(0, 0) for label in range(1, classes + 1)]
    each, half = tuple(map(mean, tables)), tuple(mean(table[:1]) for table in tables)
    return CocoAP(mean(precision), mean(precision[AT_HALF]), each, half)


def as_coco(target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A target as torchmetrics takes it."""
    return {name: target[name].cpu() for name in ("boxes", "labels", "area")} | {
        "iscrowd": target["crowd"].cpu().long()
    }


def mean(precision: Tensor) -> float:
    """The mean precision (percent) where there is something to be found."""
    there = precision[precision > -1]
    return float(there.double().mean() * 100)


def backend() -> Any:
    """The faster of the two packages, if it is installed."""
    for name in BACKENDS:
        if find_spec(name):
            return name
    raise BadInput(
        "COCO's average precision needs faster-coco-eval or pycocotools: pip install 'resnet-lightning[detection]'"
    )
