"""COCO, as unpacked: train2017, val2017 and annotations, or 2014's, or any set in these folders and that JSON."""

from pathlib import Path
from typing import Any

import torch

from resnet_lightning.data.detection.annotations import Annotations, check_images, gathered
from resnet_lightning.data.detection.coco_json import Instances, read_instances
from resnet_lightning.data.detection.datamodule import SAME, DetectionDataModule, counts
from resnet_lightning.errors import BadInput

DEFAULT_ROOT = "data/coco"
WHOLE = {"train2014": 82_783, "val2014": 40_504, "train2017": 118_287, "val2017": 5_000}


class COCO(DetectionDataModule):
    """The categories of COCO, or of any instances JSON, numbered from 1 in the order of their ids (Table 8).

    The paper trains on train2014 and tests val2014; today's split has the same images. An image's id is COCO's.
    Training cuts boxes at the image's border and leaves out those without area. torchvision's CocoDetection needs
    pycocotools to read the same JSON, and does not say what is wrong with it.

    Args:
        root: the folder that holds annotations/instances_<split>.json and <split>/ for each split.
        train_split: what to train on, such as train2017.
        test_split: what is tested, such as val2017; or train, the images of the training.
        settings: of every DetectionDataModule.
    """

    metric = "coco"

    def __init__(
        self, root: str = DEFAULT_ROOT, train_split: str = "train2017", test_split: str = "val2017", **settings: Any
    ) -> None:
        super().__init__(root, train_split, test_split, **settings)
        self.class_names = ()
        self.trained: torch.Tensor | None = None  # ids of all images of train_split

    @property
    def title(self) -> str:
        """What a table says that the numbers were measured on; more than that if it is not the whole of one year."""
        same = self.test_split == SAME
        name = f"COCO {self.train_split}, the images of the training" if same else f"COCO {self.test_split}"
        whole = {"train": WHOLE.get(self.train_split), "test": WHOLE.get(self.test_split)}
        if self.listed != whole or self.train_images is not None or self.test_images is not None:
            return f"{name} ({self.train_split}: {counts(self)})"
        return name if self.train_split[-4:] == self.test_split[-4:] else f"{name} ({self.train_split})"

    def read(self, part: str) -> Annotations:
        """All images of train or test, in the order of their ids, and all their objects.

        Raises:
            BadInput: naming the folder or file that is missing, or wrong; if a tested image is trained on.
        """
        split = self.train_split if part == "train" else self.test_split
        file = self._file(split)
        found = read_instances(file)
        names = tuple(found.categories.values())
        if part == "test" and names != self.class_names:
            raise BadInput(f"{file} has other categories than {self._file(self.train_split)}: expected the same")
        self.class_names = names
        annotations = self._annotations(found, split, file)
        if part == "train":
            self.trained = annotations.ids
        elif self.trained is not None and (both := torch.isin(annotations.ids, self.trained)).any():
            raise BadInput(
                f"{file} lists {int(both.sum()):,} images that {self._file(self.train_split)} lists too, such as "
                f"{int(annotations.ids[both][0])}: expected images that are not trained on"
            )
        return annotations

    def _annotations(self, found: Instances, split: str, file: Path) -> Annotations:
        folder = self.root / split
        check_images(folder, list(found.files.values()), file)
        return gathered(
            [folder / name for name in found.files.values()], list(found.files), found.counts, found.objects
        )

    def _file(self, split: str) -> Path:
        file = self.root / "annotations" / f"instances_{split}.json"
        if not self.root.is_dir():
            raise BadInput(
                f"data folder {self.root} does not exist: name the folder that holds annotations/{file.name} and "
                f"{split}/ with --data.root (or DATA= for make)"
            )
        return file
