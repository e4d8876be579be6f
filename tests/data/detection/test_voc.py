"""VOC's lists, boxes and damage, on small trees of it."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from detection_trees import SIZES, annotation, objects, picture, write_year
from PIL import Image

from resnet_lightning.data.detection import VOC
from resnet_lightning.errors import BadInput, guarded


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_year(tmp_path / "VOC2007", {"trainval": 12, "test": 5})
    return tmp_path


def set_up(root: Path, **settings: object) -> VOC:
    data = VOC(str(root), **{"workers": 0, **settings})  # type: ignore[arg-type]
    data.setup("fit")
    return data


def test_boxes_are_half_open_and_parts_are_not_read(root: Path) -> None:
    data = set_up(root, test_split="train", keep_difficult=True)
    assert (data.num_classes, data.size("train"), data.title) == (
        *(21, 10),  # two of twelve images have no object
        "VOC, the images of the training (07: 10 + 10 images)",
    )
    target = data.sets["test"].target(1)
    assert [data.class_names[label - 1] for label in target["labels"]] == ["dog", "person"]
    assert target["boxes"].tolist() == [list(map(float, box)) for _, box in objects(1)]
    assert target["area"].tolist() == [12 * 17, 13 * 25]
    assert (target["difficult"].any(), target["crowd"].any(), int(target["image_id"])) == (False, False, 1)
    assert data.sets["test"].target(2)["difficult"].all()


def test_training_leaves_out_difficult_objects_and_then_empty_images(root: Path) -> None:
    data = set_up(root)
    used = [number for number in range(12) if objects(number) and number % 3 != 2]
    assert [Path(data.sets["train"].path(n)).stem for n in range(data.size("train"))] == [f"{n:06}" for n in used]
    assert data.size("test") == 5
    assert data.sets["test"].target(2)["boxes"].shape == (0, 4)


def test_years_and_both_layouts(root: Path) -> None:
    write_year(root / "VOCdevkit" / "VOC2012", {"trainval": 6, "train": 4, "val": 5}, first=100)
    assert len(set_up(root, train_split="07+12", keep_difficult=True).sets["train"].ids) == 10 + 5
    data = set_up(root, train_split="07++12train", test_split="12val")
    assert (data.listed, data.title) == (
        {"train": 12 + 5 + 4, "test": 5},
        f"VOC 2012 val (07++12train: {data.size('train')} + 5 images)",
    )
    assert torch.equal(data.sets["test"].ids, torch.arange(5))
    with pytest.raises(BadInput, match="VOC 2007 test is trained on by train_split 07"):
        VOC(str(root), train_split="07++12")
    with pytest.raises(BadInput, match="train_split 7: expected one of 07, 12"):
        VOC(str(root), train_split="7")
    shutil.copy(root / "VOCdevkit/VOC2012/ImageSets/Main/val.txt", root / "VOCdevkit/VOC2012/ImageSets/Main/test.txt")
    for path in (root / "VOCdevkit/VOC2012/Annotations").glob("*.xml"):
        path.unlink()
    with pytest.raises(BadInput, match="VOC 2012's test annotations are not public: test on 12val"):
        set_up(root, test_split="12")


def test_only_the_papers_own_training_goes_by_the_name_of_its_test_set(root: Path) -> None:
    write_year(root / "VOC2012", {"trainval": 6}, first=100)
    both, one = set_up(root, train_split="07+12"), set_up(root)
    few = set_up(root, train_split="07+12", train_images=2)
    assert both.title == "VOC 2007 test (07+12: 10 + 5 images)"
    both.listed = few.listed = {"train": 16_551, "test": 4_952}
    one.listed = {"train": 5_011, "test": 4_952}
    assert both.title == "VOC 2007 test"
    assert one.title == "VOC 2007 test (07)"
    assert few.title == "VOC 2007 test (07+12: 2 + 5 images)"


def test_subsets_are_the_first_images(root: Path) -> None:
    whole, part = set_up(root), set_up(root, train_images=3, test_images=2)
    assert (part.size("train"), part.size("test")) == (3, 2)
    for name in ("train", "test"):
        assert torch.equal(part.sets[name].target(1)["boxes"], whole.sets[name].target(1)["boxes"])
    same = set_up(root, train_images=3, test_split="train")
    assert same.sets["test"].paths.tolist() == part.sets["train"].paths.tolist()


XML, IMAGE = "VOC2007/Annotations/000001.xml", "VOC2007/JPEGImages/000001.jpg"
DOG = "<xmin>4</xmin>"


def edit(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text
        (root / path).write_text(text.replace(old, new, 1))

    return change


def cut_short(root: Path) -> None:
    (root / IMAGE).write_bytes((root / IMAGE).read_bytes()[:300])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda root: shutil.rmtree(root / "VOC2007"), "neither .*VOCdevkit/VOC2007 nor .*VOC2007 exists: train_split"),
        (
            lambda root: (root / "VOC2007/ImageSets/Main/test.txt").unlink(),
            "test.txt does not exist: expected the name",
        ),
        (
            lambda root: (root / "VOC2007/ImageSets/Main/test.txt").write_text(""),
            "test.txt is empty: expected the name",
        ),
        (lambda root: (root / IMAGE).unlink(), "000001.jpg does not exist, which .*trainval.txt names"),
        (lambda root: (root / XML).unlink(), "000001.xml does not exist: expected the annotation of 000001.jpg"),
        (edit(XML, "</annotation>", ""), "000001.xml is damaged: no element found: line"),
        (lambda root: (root / XML).write_text("<html></html>"), "xml is a <html>, expected an <annotation> with an"),
        (
            edit(XML, "<name>dog", "<name>zebra"),
            r"object 1 is of class 'zebra', expected one of aeroplane, .*tvmonitor",
        ),
        (edit(XML, DOG, "<xmin>15</xmin>"), r"object 1 \(dog\) has xmin 15 and xmax 15, expected xmax to be more"),
        (edit(XML, "<ymax>20</ymax>", "<ymax>2</ymax>"), r"\(dog\) has ymin 4 and ymax 2, expected ymax to be more"),
        (edit(XML, DOG, "<xmin>?</xmin>"), r"object 1 \(dog\) has xmin '\?', expected a number of pixels"),
        (edit(XML, DOG, "<xmin>nan</xmin>"), "has xmin 'nan', expected a number of pixels"),
        (edit(XML, DOG, ""), "has xmin '', expected a number of pixels"),
        (
            lambda root: (root / XML).write_text("<annotation><object><name>dog</name></object></annotation>"),
            r"object 1 \(dog\) has no <bndbox>: expected one with xmin",
        ),
        (
            edit(XML, "<ymax>30</ymax>", "<ymax>62</ymax>"),
            r"object 2 lies at 26, 6, 38, 62 \(xmin, ymin, xmax, ymax\), expected a box inside of 000001.jpg with its "
            "40×60 pixels",
        ),
        (cut_short, "000001.jpg is damaged: .*: put a whole one in its place"),
        (
            lambda root: picture((20, 20), []).save(root / IMAGE),
            "000001.jpg has 20×20 pixels, and boxes outside of them",
        ),
    ],
)
def test_damage_is_one_line(
    root: Path, change: Callable[[Path], object], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    change(root)

    def look(_: object) -> None:
        for _images, _targets in set_up(root).train_dataloader():
            pass

    with pytest.raises(SystemExit) as exit:
        guarded(look, [])
    lines = capfd.readouterr().err.splitlines()
    assert (exit.value.code, len(lines)) == (2, 1) and re.search(said, lines[0]), lines


def test_annotations_that_are_odd_but_right(root: Path) -> None:
    """Floats; a <size> the wrong way round, or missing; capitals; a box that was counted from 0."""
    size = SIZES[1]
    xml = annotation(size[::-1], [("dog", (-1, 10, 40, 59))]).replace("<ymin>11</ymin>", "<ymin>10.7</ymin>")
    (root / XML).write_text(xml.replace("<name>dog", "<name> Dog"))
    path = root / "VOC2007/Annotations/000000.xml"
    path.write_text(re.sub("<size>.*</size>", "", path.read_text()))
    data = set_up(root)
    assert data.sets["train"].target(1)["boxes"].tolist() == [pytest.approx([-1, 9.7, 40, 59])]
    boxes = [target["boxes"] for _, [target] in data.train_dataloader()]
    assert any(torch.allclose(each, torch.tensor([[0, 9.7, 40, 59]])) for each in boxes)  # mirrored, it is the same


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk(root: Path, mode: str) -> None:
    Image.open(root / IMAGE).convert(mode).save(root / IMAGE)
    data = set_up(root, test_split="train", train_images=2)
    images = [image for [image], _ in data.test_dataloader()]
    assert images[1].shape == (3, 60, 40) and images[1].dtype == torch.float32 and 0 < float(images[1].max()) <= 1


def test_real_set() -> None:
    if "DETECTION" not in os.environ:
        pytest.skip("DETECTION is not the folder with voc07-mini")
    data = set_up(Path(os.environ["DETECTION"]) / "voc07-mini", keep_difficult=True)
    found = [data.sets[name].objects for name in ("train", "test")]
    assert data.listed == {"train": 192, "test": 99}
    assert sum(len(each.labels) for each in found) == 1023
    assert sum(int(each.difficult.sum()) for each in found) == 198
    assert set(torch.cat([each.labels for each in found]).tolist()) == set(range(1, 21))
