"""PASCAL VOC, as unpacked: VOC2007 and VOC2012, in a folder VOCdevkit or not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from resnet_lightning.data.detection.annotations import Annotations, Objects, check_images, gathered
from resnet_lightning.data.detection.datamodule import SAME, DetectionDataModule, counts
from resnet_lightning.data.detection.voc_xml import CLASSES, objects_in
from resnet_lightning.errors import BadInput

DEFAULT_ROOT = "data/voc"


class Part(NamedTuple):
    """A list of images, such as trainval of 2007."""

    year: str
    name: str
    images: int  # in all of VOC

    def __str__(self) -> str:
        return f"VOC {self.year} {self.name}"


OF_07, TEST_07 = Part("2007", "trainval", 5011), Part("2007", "test", 4952)
OF_12, TEST_12 = Part("2012", "trainval", 11540), Part("2012", "test", 10991)
TRAIN_12, VAL_12 = Part("2012", "train", 5717), Part("2012", "val", 5823)
TRAIN = {
    "07": (OF_07,),
    "12": (OF_12,),
    "07+12": (OF_07, OF_12),
    "07++12": (OF_07, TEST_07, OF_12),
    "07++12train": (OF_07, TEST_07, TRAIN_12),
}
TEST = {"07": (TEST_07,), "12": (TEST_12,), "12val": (VAL_12,)}
PAPERS = {"07": "07+12", "12": "07++12"}  # what the paper trains on, by what it tests


class VOC(DetectionDataModule):
    """The 20 classes of PASCAL VOC (section 4.3, Table 7).

    Boxes are those of the devkit, whose pixels are counted from 1 and belong to a box on both sides, as half-open ones:
    x1 − 1, y1 − 1, x2, y2. An image's id is its place in the list of its set, in the order of the names. torchvision's
    VOCDetection knows one year in one place, and does not say which file is wrong, so the lists are read here.

    Args:
        root: the folder that holds VOCdevkit/VOC2007 or VOC2007, and VOC2012 likewise.
        train_split: as the paper names them: 07 and 12 are trainval of a year, 07+12 both, 07++12 is 07's test set
            too. 07++12train leaves the val of 12 to be tested, since 12's own test annotations are not public.
        test_split: 07 or 12, the test set of a year; 12val; or train, the images of the training.
        settings: of every DetectionDataModule.
    """

    class_names = CLASSES

    def __init__(
        self, root: str = DEFAULT_ROOT, train_split: str = "07", test_split: str = "07", **settings: Any
    ) -> None:
        super().__init__(root, train_split, test_split, **settings)
        for option, known, given in (("train_split", [*TRAIN], train_split), ("test_split", [*TEST, SAME], test_split)):
            if given not in known:
                raise BadInput(f"{option} {given}: expected one of {', '.join(known)} (in quotes in a YAML file)")
        if both := set(TRAIN[train_split]) & set(TEST.get(test_split, ())):
            raise BadInput(f"test_split {test_split}: {both.pop()} is trained on by train_split {train_split}")
        tested = TEST.get(test_split, TRAIN[train_split])
        self.metric = "voc07" if all(part.year == "2007" for part in tested) else "voc"  # 11 points, or the area

    @property
    def title(self) -> str:
        """What a table says that the numbers were measured on; more than that if it is not the paper's training."""
        trained, tested = TRAIN[self.train_split], TEST.get(self.test_split, ())
        name = " and ".join(map(str, tested)) or "VOC, the images of the training"
        whole = {"train": sum(part.images for part in trained), "test": sum(part.images for part in tested)}
        if self.listed != whole or self.train_images is not None or self.test_images is not None:
            return f"{name} ({self.train_split}: {counts(self)})"
        return name if PAPERS.get(self.test_split) == self.train_split else f"{name} ({self.train_split})"

    def read(self, part: str) -> Annotations:
        """All images of train or test, year by year and by name, and all their objects.

        Raises:
            BadInput: naming the folder or file that is missing, or wrong.
        """
        parts = TRAIN[self.train_split] if part == "train" else TEST[self.test_split]
        images = [image for part in parts for image in self._images(part)]
        found = [objects_in(annotation_of(path), path) for path in images]
        objects = Objects(*(torch.cat(values) for values in zip(*found, strict=True)))
        return gathered(images, range(len(images)), [len(own.labels) for own in found], objects)

    def _images(self, part: Part) -> Iterator[Path]:
        """The files of the images of a list, which all exist."""
        folder = self._folder(part.year)
        path = folder / "ImageSets" / "Main" / f"{part.name}.txt"
        try:
            names = sorted(set(path.read_text(encoding="utf-8").split()))
        except FileNotFoundError:
            raise BadInput(f"{path} does not exist: expected the names of the images of {part}, one a line") from None
        except UnicodeDecodeError as error:
            raise BadInput(f"{path} is no list of names: {error}") from error
        if not names:
            raise BadInput(f"{path} is empty: expected the names of the images of {part}, one a line")
        files = [f"{name}.jpg" for name in names]
        check_images(folder / "JPEGImages", files, path)
        if part == TEST_12 and not annotation_of(folder / "JPEGImages" / files[0]).exists():
            raise BadInput(
                "VOC 2012's test annotations are not public: test on 12val, with train_split 07 or 07++12train"
            )
        return (folder / "JPEGImages" / file for file in files)

    def _folder(self, year: str) -> Path:
        """The folder of a year."""
        places = [self.root / "VOCdevkit" / f"VOC{year}", self.root / f"VOC{year}"]
        for place in places:
            if place.is_dir():
                return place
        if not self.root.is_dir():
            raise BadInput(
                f"data folder {self.root} does not exist: name the folder that holds VOCdevkit/VOC{year} or "
                f"VOC{year} with --data.root (or DATA= for make)"
            )
        wanted = f"train_split {self.train_split} and test_split {self.test_split} need it"
        raise BadInput(f"neither {places[0]} nor {places[1]} exists: {wanted}")


def annotation_of(image: Path) -> Path:
    return image.parent.parent / "Annotations" / f"{image.stem}.xml"
