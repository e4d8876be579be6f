"""COCO's instances, their gaps, crowds and faults, on small trees of it."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from detection_trees import NAMES, write_coco

from resnet_lightning.data.detection import COCO
from resnet_lightning.errors import guarded


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_coco(tmp_path / "coco", {"train2017": 10, "val2017": 5})


def set_up(root: Path, **settings: object) -> COCO:
    data = COCO(str(root), **{"workers": 0, **settings})  # type: ignore[arg-type]
    data.setup("fit")
    return data


def test_labels_crowds_and_ids(root: Path) -> None:
    data = set_up(root)
    assert (data.class_names, data.num_classes) == (NAMES, 4)
    assert data.sets["test"].ids.tolist() == [91, 98, 105, 112, 119]
    target = data.sets["test"].target(2)  # 105: a dog, a person and a crowd
    assert target["labels"].tolist() == [1, 2, 1]
    assert target["crowd"].tolist() == [False, False, True]
    assert target["boxes"][2].tolist() == [20, 20, 61, 40]  # as it is: COCO's code does not cut it either
    assert target["area"].tolist() == [102, 162.5, 410]
    assert not data.sets["train"].objects.crowd.any()
    assert data.title == f"COCO val2017 (train2017: {data.size('train')} + 5 images)"
    assert data.sets["test"].target(4)["boxes"].shape == (0, 4)


def change(file: str, edit: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def written(root: Path) -> None:
        path = root / "annotations" / f"instances_{file}.json"
        contents = json.loads(path.read_text())
        edit(contents)
        path.write_text(json.dumps(contents))

    return written


def first(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda contents: contents["annotations"][0].update({name: value})


def test_objects_without_area_are_tested_and_not_trained_on(root: Path) -> None:
    change("train2017", first("bbox", [5, 5, 0, 10]))(root)
    data = set_up(root, test_split="train")
    whole, used = data.read("train").objects, data.sets["train"].objects
    assert len(used.labels) == int((~whole.crowd).sum()) - 1


TRAIN = "annotations/instances_train2017.json"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda root: shutil.rmtree(root),
            "data folder .*coco does not exist: name the folder that holds annotations/",
        ),
        (lambda root: (root / TRAIN).unlink(), "instances_train2017.json does not exist: expected COCO's instances of"),
        (lambda root: (root / TRAIN).write_text('{"images": ['), "train2017.json is damaged: Expecting value: line 1"),
        (lambda root: (root / TRAIN).write_text("[]"), "expected an object with the lists images, annotations, categ"),
        (lambda root: (root / TRAIN).write_bytes(b"\xff\xfe\xfd"), "instances_train2017.json is damaged: .*codec"),
        (
            lambda root: shutil.copy(root / TRAIN, root / "annotations/instances_val2017.json"),
            r"val2017/000000000021.jpg does not exist, which .*instances_val2017.json names, one of 10 missing of 10: "
            "is it the list of another split",
        ),
        (
            lambda root: (
                shutil.copytree(root / "train2017", root / "v"),
                shutil.copy(root / TRAIN, root / "annotations/instances_v.json"),
            ),
            "instances_v.json lists 10 images that .*instances_train2017.json lists too, such as 21: expected",
        ),
        (
            lambda root: (root / "train2017/000000000028.jpg").unlink(),
            "000000000028.jpg does not exist, which .*names$",
        ),
        (change("val2017", lambda c: c["categories"].pop(0)), "annotation .* is of category 39|has other categories"),
        (change("val2017", lambda c: c["categories"][0].update(name="ox")), "instances_val2017.json has other categor"),
        (change("train2017", lambda c: c["images"][0].pop("file_name")), "has the image .*: expected .* and file_name"),
        (change("train2017", lambda c: c["images"][0].update(id="21")), "the image .*'21'.* a whole number as id"),
        (change("train2017", lambda c: c["images"].append(c["images"][0])), "has the image 21 twice"),
        (change("train2017", lambda c: c["images"][0].update(width="60")), "the image 21 with a width or height that"),
        (change("train2017", lambda c: c["annotations"].append("x")), "the annotation 'x': expected names and values"),
        (change("train2017", first("area", "12")), "annotation 1 has area 12, expected pixels"),
        (change("train2017", first("image_id", [21])), r"annotation 1 is of image \[21\], expected one that the file"),
        (change("train2017", lambda c: c["images"].clear()), "lists 0 images and 3 categories: expected some"),
        (change("train2017", first("image_id", 5)), "annotation 1 is of image 5, expected one that the file lists"),
        (change("train2017", first("category_id", 1)), "annotation 1 is of category 1, expected one of 13, 26, 39"),
        (
            change("train2017", first("bbox", [1, 2, 3])),
            r"annotation 1 has bbox \[1, 2, 3\], expected left, top, width",
        ),
        (change("train2017", first("bbox", [1, 2, -3, 4])), r"has bbox \[1, 2, -3, 4\], expected left, top, width and"),
        (
            change("train2017", first("bbox", [99, 2, 3, 4])),
            r"bbox \[99, .* expected a box in the 60×40 pixels of image",
        ),
    ],
)
def test_damage_is_one_line(
    root: Path, damage: Callable[[Path], object], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    damage(root)
    test_split = "v" if (root / "v").exists() else "val2017"
    with pytest.raises(SystemExit) as exit:
        guarded(lambda _: set_up(root, test_split=test_split) and None, [])
    lines = capfd.readouterr().err.splitlines()
    assert (exit.value.code, len(lines)) == (2, 1) and re.search(said, lines[0]), lines


def test_real_set() -> None:
    if "DETECTION" not in os.environ:
        pytest.skip("DETECTION is not the folder with coco-mini")
    data = set_up(Path(os.environ["DETECTION"]) / "coco-mini")
    train, test = data.read("train"), data.sets["test"]
    assert data.num_classes == 81
    assert [len(each.objects.labels) for each in (train, test)] == [470, 382]
    assert [int(each.objects.crowd.sum()) for each in (train, test)] == [5, 5]
    assert [int((each.starts.diff() == 0).sum()) for each in (train, test)] == [1, 2]
    for images, targets in data.train_dataloader():
        box = targets[0]["boxes"]
        assert (box >= 0).all() and (box[:, 2:] <= torch.tensor(images[0].shape[:0:-1])).all()
