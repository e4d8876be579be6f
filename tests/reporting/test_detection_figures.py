"""Figures of detections: what is drawn where, and nothing where there is nothing."""

import numpy as np
import pytest
import torch
from conftest import PAPER

from resnet_lightning.reporting.detection import FOUND, TRUTH, ClassCurve, Picture, detections, precision_recall
from resnet_lightning.training.detection.voc_ap import curve

BOX = torch.tensor([[2.0, 1.0, 6.0, 4.0]])


def test_the_line_encloses_the_area_that_is_reported() -> None:
    """Two objects, found with one miss between: 1/2 at full precision, 1/2 at two of three."""
    boxes = torch.tensor([[0.0, 0, 4, 4], [20, 0, 24, 4], [10, 0, 14, 4]])
    found = {"boxes": boxes, "labels": torch.ones(3), "scores": torch.tensor([0.9, 0.8, 0.7])}
    target = {"boxes": boxes[[0, 2]], "labels": torch.ones(2), "difficult": torch.zeros(2, dtype=torch.bool)}
    own = curve([found], [target], 1)
    missing = ClassCurve(np.zeros(0), np.zeros(0), float("nan"))
    figure = precision_recall(
        {"A": {"dog": ClassCurve(own.recall, own.precision, own.area()), "cat": missing}, "B": {}}
    )
    [axes] = figure.axes  # cats have no objects
    line, other = axes.get_lines()
    assert (line.get_drawstyle(), len(other.get_xdata())) == ("steps-pre", 0)
    recall, precision = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert 100 * np.sum(np.diff(recall) * precision[1:]) == pytest.approx(own.area()) == pytest.approx(250 / 3)
    assert axes.get_title() == "dog\n83.3 / –"
    assert [text.get_text() for text in figure.legends[0].texts] == ["A", "B"]
    precision_recall({}).canvas.draw()


def test_boxes_lie_on_their_pixels() -> None:
    """The first pixel's middle is 0 in a picture, and its edge in a box."""
    target = {"boxes": BOX, "labels": torch.tensor([2]), "difficult": torch.tensor([True])}
    found = {"boxes": BOX.repeat(2, 1), "labels": torch.tensor([1, 2]), "scores": torch.tensor([0.876, 0.4])}
    figure = detections([Picture(torch.zeros(3, 5, 8), target, found)], ["cat", "dog"])
    [axes] = figure.axes
    drawn = [
        (patch.get_edgecolor(), patch.get_linestyle(), patch.get_bbox().extents.tolist()) for patch in axes.patches
    ]
    assert [box for _, _, box in drawn] == [[1.5, 0.5, 5.5, 3.5]] * 2
    assert [style for _, style, _ in drawn] == [":", "-"]
    words = [(text.get_text(), text.get_bbox_patch().get_facecolor()[:3]) for text in axes.texts]
    assert words == [("dog", rgb(TRUTH)), ("cat 0.88", rgb(FOUND))]  # 0.4 is too little to be drawn
    empty = {name: values[:0] for name, values in found.items()}
    detections([Picture(torch.zeros(3, 5, 8), empty, empty)] * 5, ["cat"]).canvas.draw()


def rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))


def test_published_means_are_those_of_the_classes() -> None:
    for table in ("table10_voc07_per_class", "table11_voc12_per_class"):
        for row in PAPER[table]["rows"].values():
            assert len(row["ap"]) == 20 and np.mean(row["ap"]) == pytest.approx(row["mAP"], abs=0.051)
    assert PAPER["table10_voc07_per_class"]["rows"]["ResNet-101 07+12"]["mAP"] == 76.4
