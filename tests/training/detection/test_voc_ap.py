"""VOC's average precision: the devkit's figures of a real detector, and a slow reference on random cases."""

import csv
import math
import os
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch

from resnet_lightning.training.detection.voc_ap import Boxes, curve, curves, mean_ap

Box = tuple[float, float, float, float]
Found = tuple[int, float, Box]  # image, score, box
Real = tuple[int, Box, bool]  # image, box, difficult


def as_targets(images: int, objects: list[Real], label: int = 1) -> list[Boxes]:
    found = []
    for image in range(images):
        own = [(box, difficult) for where, box, difficult in objects if where == image]
        found.append(
            {
                "boxes": torch.tensor([box for box, _ in own], dtype=torch.float64).view(-1, 4),
                "labels": torch.full((len(own),), label),
                "difficult": torch.tensor([difficult for _, difficult in own], dtype=torch.bool),
            }
        )
    return found


def as_predictions(images: int, detections: list[Found], label: int = 1) -> list[Boxes]:
    found = []
    for image in range(images):
        own = [(score, box) for where, score, box in detections if where == image]
        found.append(
            {
                "boxes": torch.tensor([box for _, box in own], dtype=torch.float64).view(-1, 4),
                "labels": torch.full((len(own),), label),
                "scores": torch.tensor([score for score, _ in own], dtype=torch.float64),
            }
        )
    return found


def reference(images: int, detections: list[Found], objects: list[Real]) -> tuple[float, float]:
    """Both forms, percent: matched in order, and each threshold's precision sought among all prefixes."""
    ordered = [each for image in range(images) for each in detections if each[0] == image]
    ordered.sort(key=lambda detection: detection[1], reverse=True)  # stable
    verdicts: list[str] = []
    taken: set[int] = set()
    for image, _, box in ordered:
        best, most = -1, -1.0
        for number, (where, other, _) in enumerate(objects):
            if where == image and share(box, other) > most:
                best, most = number, share(box, other)
        if most <= 0.5:
            verdicts.append("miss")
        elif objects[best][2]:
            verdicts.append("ignored")
        else:
            verdicts.append("miss" if best in taken else "hit")
            taken.add(best)
    positives = sum(not difficult for _, _, difficult in objects)
    if not positives:
        return math.nan, math.nan
    points = []
    for length in range(1, len(verdicts) + 1):
        hits, misses = verdicts[:length].count("hit"), verdicts[:length].count("miss")
        points.append((hits / positives, hits / (hits + misses) if hits + misses else 0.0))
    eleven = [max([p for r, p in points if r >= least], default=0.0) for least in np.arange(0, 1.1, 0.1)]
    area, before = 0.0, 0.0
    for level in sorted({recall for recall, _ in points}):
        area += (level - before) * max(p for r, p in points if r >= level)
        before = level
    return 100 * sum(eleven) / 11, 100 * area


def share(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (areas[0] + areas[1] - width * height)


def random_case(seed: int) -> tuple[list[Found], list[Real]]:
    """Small boxes on a grid, so that overlaps and scores are often equal, and detections often doubled."""
    draw = random.Random(seed)

    def box() -> Box:
        x, y = draw.randint(0, 5), draw.randint(0, 5)
        return x, y, x + draw.randint(1, 4), y + draw.randint(1, 4)

    objects = [(draw.randrange(4), box(), draw.random() < 0.3) for _ in range(draw.choice([0, 1, 3, 12]))]
    detections: list[Found] = []
    for _ in range(draw.choice([0, 1, 5, 40])):
        near = draw.choice(objects)[:2] if objects and draw.random() < 0.6 else (draw.randrange(4), box())
        detections.append((near[0], draw.choice([0.1, 0.5, 0.5, draw.random()]), near[1]))
    return detections, objects


def test_random_cases_are_as_the_slow_reference() -> None:
    values = []
    for seed in range(400):
        detections, objects = random_case(seed)
        mine = curve(as_predictions(4, detections), as_targets(4, objects), 1)
        expected = reference(4, detections, objects)
        assert (mine.eleven_points(), mine.area()) == pytest.approx(expected, abs=1e-9, nan_ok=True), seed
        values.append(expected)
    assert sum(math.isnan(value[0]) for value in values) > 20 and sum(value[0] == 0 for value in values) > 20
    assert sum(0 < value[0] < 100 for value in values) > 100


def test_mean_is_of_the_classes_that_have_objects() -> None:
    targets = as_targets(1, [(0, (0, 0, 4, 4), False)], label=2)
    found = curves(as_predictions(1, [(0, 0.9, (0, 0, 4, 4))], label=2), targets, 3)
    assert [each.positives for each in found] == [0, 1, 0]
    assert mean_ap([each.eleven_points() for each in found]) == 100
    assert math.isnan(mean_ap([found[0].area()]))


def test_real_detector_is_as_the_devkit() -> None:
    if "DETECTION" not in os.environ:
        pytest.skip("DETECTION is not the folder with voc07-metric")
    folder = Path(os.environ["DETECTION"]) / "voc07-metric"
    numbers = {name: number for number, name in enumerate((folder / "image_ids.txt").read_text().split())}
    objects: dict[str, list[Real]] = defaultdict(list)
    for row in csv.DictReader((folder / "ground_truth.csv").read_text().splitlines()):
        box = (float(row["xmin"]) - 1, float(row["ymin"]) - 1, float(row["xmax"]), float(row["ymax"]))
        objects[row["class"]].append((numbers[row["image"]], box, row["difficult"] == "1"))
    *expected, means = csv.DictReader((folder / "expected.csv").read_text().splitlines())
    forms = []
    for row in expected:
        detections = []
        for line in (folder / "detections" / f"comp4_det_test_{row['class']}.txt").read_text().splitlines():
            image, score, x1, y1, x2, y2 = line.split()
            detections.append((numbers[image], float(score), (float(x1) - 1, float(y1) - 1, float(x2), float(y2))))
        mine = curve(as_predictions(99, detections), as_targets(99, objects[row["class"]]), 1)
        assert mine.positives == int(row["positives"])
        forms.append((mine.eleven_points(), mine.area()))
        assert forms[-1] == pytest.approx((float(row["ap_11_point"]), float(row["ap_all_point"])), abs=1e-4)
    assert len(forms) == 18
    assert np.mean(forms, 0) == pytest.approx((float(means["ap_11_point"]), float(means["ap_all_point"])), abs=1e-4)
