"""The average precision of PASCAL VOC, as its devkit computes it (Tables 7, 10 and 11).

The code that all evaluations in Python share is py-faster-rcnn's: a detection takes the object of its class and image
that it overlaps most, if by more than a half. It is a hit if it is the first to take it, and a miss if it takes none or
one that is taken. One that takes a difficult object is neither, and difficult objects are not to be found. COCO's rules
differ (a detection may take another object where the best one is taken), so torchmetrics gives other numbers here.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]
Boxes = Mapping[str, Tensor]

OVERLAP = 0.5  # that a hit has to exceed
# Not k/10: of 0.7000000000000001, a recall of exactly 7/10 falls short, in the devkit's arithmetic too.
ELEVEN = np.arange(0.0, 1.1, 0.1)


class Curve(NamedTuple):
    """How many objects of one class are found, and how many detections are right, down to each of D detections.

    Args:
        recall: fractions [D], from the highest score on; no numbers if there are no objects.
        precision: likewise.
        positives: objects to be found.
    """

    recall: Floats
    precision: Floats
    positives: int

    def eleven_points(self) -> float:
        """VOC 2007's AP (percent): the mean of the highest precision at or beyond each of 11 recalls."""
        if not self.positives:
            return float("nan")
        return float(np.mean([self.precision[self.recall >= least].max(initial=0.0) for least in ELEVEN]) * 100)

    def area(self) -> float:
        """The AP from 2010 on (percent): the area below the curve, made falling."""
        if not self.positives:
            return float("nan")
        falling = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float(np.sum(np.diff(self.recall, prepend=0.0) * falling) * 100)


def curves(predictions: Sequence[Boxes], targets: Sequence[Boxes], classes: int) -> list[Curve]:
    """The curve of each class, label 1 first. Boxes are half-open in pixels, left, top, right, bottom.

    Args:
        predictions: of each image, boxes [D, 4], labels [D], scores [D].
        targets: of each image, in the same order, boxes [N, 4], labels [N], difficult [N].
        classes: how many, without the background.
    """
    return [curve(predictions, targets, label) for label in range(1, classes + 1)]


def curve(predictions: Sequence[Boxes], targets: Sequence[Boxes], label: int) -> Curve:
    """The curve of one class, as curves."""
    boxes = [of_class(each, "boxes", label) for each in predictions]
    scores = np.concatenate([np.zeros(0), *(of_class(each, "scores", label) for each in predictions)])
    difficult = [of_class(each, "difficult", label).astype(bool) for each in targets]
    objects = [of_class(each, "boxes", label) for each in targets]
    taken = [np.zeros(len(each), bool) for each in objects]
    places = [(image, number) for image, each in enumerate(boxes) for number in range(len(each))]
    hits, misses = np.zeros(len(places)), np.zeros(len(places))
    for rank, place in enumerate(np.argsort(-scores, kind="stable")):
        image, number = places[place]
        overlaps = overlap(boxes[image][number], objects[image])
        most = int(overlaps.argmax()) if len(overlaps) else 0
        if not len(overlaps) or not overlaps[most] > OVERLAP:
            misses[rank] = 1
        elif not difficult[image][most]:
            hits[rank], misses[rank] = not taken[image][most], taken[image][most]
            taken[image][most] = True
    positives = sum(int((~each).sum()) for each in difficult)
    found, wrong = hits.cumsum(), misses.cumsum()
    recall = found / positives if positives else np.full(len(places), np.nan)
    return Curve(recall, found / np.maximum(found + wrong, np.finfo(np.float64).eps), positives)


def of_class(boxes: Boxes, name: str, label: int) -> Floats:
    """What an image's objects or detections of one class have by this name, float64 [N] or [N, 4]."""
    values: Floats = boxes[name][boxes["labels"] == label].cpu().numpy().astype(np.float64)
    return values


def overlap(box: Floats, others: Floats) -> Floats:
    """Intersection over union of a box [4] with others [N, 4], [N]."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    common = sides.clip(min=0.0).prod(1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - common
    shares: Floats = common / np.maximum(union, np.finfo(np.float64).eps)
    return shares


def mean_ap(values: Sequence[float]) -> float:
    """The mean over the classes that have objects; not a number if none has."""
    there = [value for value in values if not np.isnan(value)]
    return float(np.mean(there)) if there else float("nan")
