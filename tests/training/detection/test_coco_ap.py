"""COCO's average precision: pycocotools' own evaluation of the same boxes, its file formats and all."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from resnet_lightning.data.detection import COCO
from resnet_lightning.errors import BadInput
from resnet_lightning.training.detection import coco_ap as module
from resnet_lightning.training.detection.coco_ap import coco_ap


def jittered(target: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Detections: most of the boxes, moved a little, some of them twice or of another class, and some besides."""
    draw = torch.Generator().manual_seed(seed)
    boxes, labels = target["boxes"].repeat(2, 1), target["labels"].repeat(2)
    kept = torch.rand(len(labels), generator=draw) < 0.6
    boxes, labels = boxes[kept], labels[kept]
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    boxes = boxes + 0.08 * sides * torch.randn(boxes.shape, generator=draw)
    other = torch.rand(len(labels), generator=draw) < 0.1
    labels = torch.where(other, torch.randint(1, 81, labels.shape, generator=draw), labels)
    return {"boxes": boxes, "labels": labels, "scores": torch.rand(len(labels), generator=draw)}


@pytest.mark.parametrize("package", module.BACKENDS)
def test_it_is_as_pycocotools(package: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    if "DETECTION" not in os.environ:
        pytest.skip("DETECTION is not the folder with coco-mini")
    pytest.importorskip(package)
    pycocotools = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    root = Path(os.environ["DETECTION"]) / "coco-mini"
    data = COCO(str(root), workers=0)
    data.setup("test")
    targets = [data.sets["test"].target(number) for number in range(data.size("test"))]
    found = [jittered(target, seed) for seed, target in enumerate(targets)]

    theirs = pycocotools.COCO(str(root / "annotations" / "instances_val2017.json"))
    categories = sorted(theirs.getCatIds())
    lines = [
        (int(target["image_id"]), *box[:2].tolist(), *(box[2:] - box[:2]).tolist(), float(score), categories[label - 1])
        for target, own in zip(targets, found, strict=True)
        for box, score, label in zip(own["boxes"], own["scores"], own["labels"].tolist(), strict=True)
    ]
    evaluation = COCOeval(theirs, theirs.loadRes(np.array(lines)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    precision = evaluation.eval["precision"][..., 0, -1]  # [overlaps, recalls, categories]

    monkeypatch.setattr(module, "BACKENDS", (package,))
    mine = coco_ap(found, targets, 80)
    assert (mine.mean, mine.at_half) == pytest.approx(tuple(100 * evaluation.stats[:2]), abs=1e-4)
    assert 10 < mine.mean < 90
    assert len(mine.classes) == 80
    for place, (value, half) in enumerate(zip(mine.classes, mine.classes_at_half, strict=True)):
        there = precision[:, :, place][precision[:, :, place] > -1]
        expected = 100 * there.mean() if there.size else np.nan
        expected_half = 100 * precision[0, :, place].mean() if there.size else np.nan
        assert (value, half) == pytest.approx((expected, expected_half), abs=1e-4, nan_ok=True)


def test_no_detections_and_no_objects() -> None:
    pytest.importorskip("pycocotools")
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    crowd, area, one = torch.tensor([False]), torch.tensor([16.0]), torch.tensor([1])
    nothing = {"boxes": boxes[:0], "labels": one[:0], "scores": area[:0]}
    target = {"boxes": boxes, "labels": one, "crowd": crowd, "area": area}
    empty = {name: values[:0] for name, values in target.items()}
    assert coco_ap([nothing, nothing], [target, empty], 2)[:2] == (0.0, 0.0)
    assert np.isnan(coco_ap([nothing], [empty], 2).mean)


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKENDS", ("no_such_package",))
    with pytest.raises(BadInput, match=r"faster-coco-eval or pycocotools: pip install 'resnet-lightning\[detection\]'"):
        coco_ap([], [], 1)
