"""What VOC and COCO share: which images are trained on and tested, and their batches."""

from abc import abstractmethod
from typing import Literal

import torch
from lightning import LightningDataModule

from resnet_lightning.data.class_folders import user_path
from resnet_lightning.data.detection.annotations import Annotations
from resnet_lightning.data.detection.batches import DetectionImages, EvaluationImages, TrainingImages
from resnet_lightning.data.image_files import usual_workers
from resnet_lightning.errors import BadInput

SAME = "train"  # test_split that looks at the images of the training


class DetectionDataModule(LightningDataModule):
    """Images of any size with boxes, decoded by worker processes; neither resized nor normalised: the detector does.

    Training leaves out crowds and, unless they are kept, difficult objects, then images without any object: py-faster-
    rcnn's code does both (use_diff is False there, and filter_roidb drops what has no region). It trains on each image
    and its mirror image in an epoch; here each is mirrored or not by chance, the same for the same seed and epoch. An
    evaluation sees all images and all boxes.

    Args:
        root: the folder of the data; ~ is the home folder.
        train_split: what to train on.
        test_split: what is tested, also while training: its name, or train for the images of the training, as they
            are and with all their boxes.
        batch_size: images of one training batch, over all devices together.
        train_images: only the first so many of those that are trained on.
        test_images: only the first so many of those that are tested.
        flip: whether half of the training images are mirrored.
        keep_difficult: whether difficult objects are trained on.
        evaluation: what `test` counts: boxes, as they are found; refined ones, with box voting; or those of regions at
            several scales, refined too (appendix B).
        workers: processes that decode; by default one beside a CPU that trains, and as many as there are cores for
            each GPU.
        seed: of order and flips; the command line sets it from seed_everything.
    """

    class_names: tuple[str, ...]  # label k is class_names[k - 1]; 0 is the background
    metric: str  # which average precision is measured: voc07, voc or coco

    def __init__(
        self,
        root: str,
        train_split: str,
        test_split: str,
        batch_size: int = 1,
        train_images: int | None = None,
        test_images: int | None = None,
        flip: bool = True,
        keep_difficult: bool = False,
        evaluation: Literal["boxes", "refined", "multi_scale"] = "boxes",
        workers: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, value in (("batch_size", batch_size), ("train_images", train_images), ("test_images", test_images)):
            if value is not None and value < 1:
                raise BadInput(f"{name} {value}: expected a number of images, at least 1")
        if workers is not None and workers < 0:
            raise BadInput(f"workers {workers}: expected a number of processes, 0 or more")
        self.root = user_path(root)
        self.batch_size = batch_size
        self.train_split = train_split
        self.test_split = test_split
        self.train_images = train_images
        self.test_images = test_images
        self.flip = flip
        self.keep_difficult = keep_difficult
        self.evaluation = evaluation
        self.workers = workers
        self.seed = seed
        self.sets: dict[str, Annotations] = {}
        self.listed: dict[str, int] = {}  # images of each set, before any was left out

    @abstractmethod
    def read(self, part: str) -> Annotations:
        """All images of a part, train or test, and all their objects."""

    @property
    def num_classes(self) -> int:
        """With the background."""
        return len(self.class_names) + 1

    def setup(self, stage: str) -> None:
        """Reads the annotations.

        Raises:
            BadInput: naming the file that is missing, or wrong; if there are too few images for a batch.
        """
        if self.sets:
            return
        everything = self.read("train")
        unwanted = everything.objects.crowd | (everything.objects.difficult & (not self.keep_difficult))
        train = everything.where(~unwanted & (everything.objects.boxes[:, 2:] > everything.objects.boxes[:, :2]).all(1))
        sets = {"train": train.with_objects().first(self.train_images)}
        if self.batch_size > len(sets["train"].paths):
            raise BadInput(
                f"batch_size {self.batch_size}: there are only {len(sets['train'].paths):,} training images with boxes "
                f"in {self.train_split} of {self.root}"
            )
        if self.test_split == SAME:
            sets["test"] = everything.only(torch.isin(everything.ids, sets["train"].ids))
        else:
            sets["test"] = self.read("test")
        self.listed = {"train": len(everything.paths), "test": len(sets["test"].paths)}
        sets["test"] = sets["test"].first(self.test_images)
        self.sets = sets

    def size(self, name: str) -> int:
        """Number of images in train or test; there is no val."""
        return len(self.sets[name].paths) if name in self.sets else 0

    def train_dataloader(self) -> TrainingImages:
        images = DetectionImages(self.sets["train"], self.flip, cut=True)
        return TrainingImages(images, self.batch_size, self.seed, self._workers(), *self._place())

    def val_dataloader(self) -> dict[str, EvaluationImages]:
        return {"test": self.test_dataloader()}

    def test_dataloader(self) -> EvaluationImages:
        return EvaluationImages(DetectionImages(self.sets["test"], False, cut=False), self._workers(), *self._place())

    def predict_dataloader(self) -> EvaluationImages:
        return self.test_dataloader()

    def _workers(self) -> int:
        return usual_workers() if self.workers is None else self.workers

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


def counts(data: DetectionDataModule) -> str:
    """How many images are trained on and tested, such as 143 + 99 images."""
    return f"{data.size('train'):,} + {data.size('test'):,} images"
