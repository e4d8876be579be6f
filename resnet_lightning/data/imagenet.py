"""ImageNet (ILSVRC-2012), or any subset of it in the same folders, with the paper's augmentation (section 3.4)."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
from lightning import LightningDataModule
from torch import Tensor

from resnet_lightning.data import crops
from resnet_lightning.data.archives import refuse_archives
from resnet_lightning.data.batches import Normalization, evaluation_shares, remaining
from resnet_lightning.data.class_folders import (
    Listing,
    class_folders,
    count_classes,
    report_left_out,
    user_path,
)
from resnet_lightning.data.colour import CHANNEL_MEAN, CHANNEL_STD, normalize
from resnet_lightning.data.decode import DamagedImage, image_size
from resnet_lightning.data.image_files import (
    Damage,
    EvaluationFiles,
    ImageFiles,
    Read,
    TrainingBatch,
    TrainingFiles,
    sampled,
    usual_workers,
)
from resnet_lightning.data.listing import validation_images
from resnet_lightning.data.preprocessing import Preprocessing
from resnet_lightning.data.protocol import Facts
from resnet_lightning.data.views import Crops, Scales
from resnet_lightning.errors import BadInput

DEFAULT_ROOT = "data/imagenet"
WHOLE = (1000, 1_281_167, 50_000)  # classes, training images, validation images
ITERATIONS = 600_000  # of the paper, on the whole of ImageNet
EVALUATIONS = 120  # of a run that does not say when to evaluate
TEST_SCALES = (224, 256, 384, 480, 640)  # shorter sides in pixels, for networks of 224×224
MEAN_IMAGES = 10_000  # pixels spread by some 70 grey levels, so the standard error of a mean is 0.7
BATCHES = {"center": 100, "ten_crop": 50, "multi_scale": 16}  # images that are evaluated at once

Augmentation = Literal["scale", "random_resized_crop"]
Evaluation = Literal["center", "ten_crop", "multi_scale"]


class ImageNet(LightningDataModule):
    """Images in train/<wnid>/* and val/<wnid>/*, any number of classes, decoded by worker processes.

    While training, centre crops of the validation images are evaluated, as `val`; ImageNet's own test labels are not
    public. Batches travel as bytes; colour and normalisation happen on the device. Every size in pixels is the paper's
    for 224×224 and shrinks with image_size. An EXIF rotation is not applied: torchvision does not either.

    Args:
        root: the folder that holds train and val; ~ is the home folder. Files that are no images by their names are
            left out and counted; hidden files and folders, and those of systems, are passed over.
        image_size: side of the network's input; the paper's is 224.
        batch_size: images of one training batch, over all devices together.
        augmentation: scale resizes the shorter side to 256 to 480 pixels and crops (the paper); random_resized_crop is
            what is usual today.
        colour_sigma: of the PCA colour augmentation; 0 for none.
        normalization: subtract the mean of each pixel (the paper), or the mean of each channel and divide by its
            standard deviation, with the numbers that everyone uses.
        evaluation: what `test` and `predict` look at: the centre crop, ten crops, or the whole image at five scales.
        val_map: the list of classes of a flat val folder, or of Tiny ImageNet's val/images.
        skip_damaged: leave out images that cannot be decoded, and count them, instead of stopping at the first.
        workers: processes that decode; by default one beside a CPU that trains, and as many as there are cores for each
            GPU.
        seed: of order and augmentation; the command line sets it from seed_everything.
    """

    def __init__(
        self,
        root: str = DEFAULT_ROOT,
        image_size: int = 224,
        batch_size: int = 256,
        augmentation: Augmentation = "scale",
        colour_sigma: float = 0.1,
        normalization: Normalization = "pixel_mean",
        evaluation: Evaluation = "center",
        val_map: str | None = None,
        skip_damaged: bool = False,
        workers: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if image_size < 32:
            raise BadInput(f"image_size {image_size}: expected at least 32 pixels, which the network halves five times")
        if batch_size < 1:
            raise BadInput(f"batch_size {batch_size}: expected a number of images, at least 1")
        if colour_sigma < 0:
            raise BadInput(f"colour_sigma {colour_sigma}: expected 0 or more")
        if workers is not None and workers < 0:
            raise BadInput(f"workers {workers}: expected a number of processes, 0 or more")
        self.root = user_path(root)
        self.image_size = image_size
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.colour_sigma = colour_sigma
        self.normalization = normalization
        self.evaluation = evaluation
        self.val_map = user_path(val_map) if val_map else None
        self.workers = workers
        self.seed = seed
        self.damage = Damage(skip_damaged)
        self.sets: dict[str, Listing] = {}
        self.pixel_mean: Tensor | None = None
        self.channels = CHANNEL_MEAN, CHANNEL_STD
        self.predicted: Tensor | None = None  # which images need not be predicted again, bool [N]

    @staticmethod
    def facts(settings: Mapping[str, Any]) -> Facts:
        """Number of classes, and the length of a run, by the folder; the paper's where the folder is not there."""
        root = user_path(settings["root"])
        classes = count_classes(root / "train") or count_classes(root / "val")
        iterations = ITERATIONS
        if classes and (root / "train").is_dir():
            iterations = iterations_of(len(class_folders(root / "train").paths), settings["batch_size"])
        return Facts(classes or None, iterations, EVALUATIONS)

    @property
    def title(self) -> str:
        classes, counts = len(self.sets["val"].classes), [self.size("train"), self.size("val")]
        name = "ImageNet"
        if (classes, *counts) not in (WHOLE, (WHOLE[0], 0, WHOLE[2])):  # weights can be tested without training images
            name = f"{self.root.resolve().name} ({classes} classes, {counts[0]:,} + {counts[1]:,} images)"
        return name + ("" if self.image_size == 224 else f" at {self.image_size}×{self.image_size}")

    @property
    def damaged_images(self) -> int:
        """Damaged images seen so far."""
        return len(self.damage.messages)

    def prepare_data(self) -> None:
        """Raises BadInput if the folder does not hold what setup needs."""
        if not self.root.is_dir():
            raise BadInput(
                f"data folder {self.root} does not exist: name the folder that holds train/<class>/ and val/<class>/ "
                "with --data.root (or DATA= for make)"
            )
        for part in ("train", "val"):
            refuse_archives(self.root / part)

    def setup(self, stage: str) -> None:
        """Lists the images.

        Raises:
            BadInput: if classes or images are missing, or the batch is larger than the training set.
        """
        if self.sets:
            return
        self.prepare_data()
        train = self.root / "train"
        if stage == "fit" or train.is_dir():  # weights from elsewhere can be tested without training images
            self.sets["train"] = class_folders(train)
        if stage == "fit":
            self._check_batch_size()
        classes = self.sets["train"].classes if "train" in self.sets else None
        self.sets["val"] = validation_images(self.root / "val", self.val_map, classes)
        for name, listing in self.sets.items():
            report_left_out(self.root / name, listing.left_out)

    def size(self, name: str) -> int:
        """Number of images in train or val; there is no other test set."""
        return len(self.sets[name].paths) if name in self.sets else 0

    def train_dataloader(self) -> TrainingFiles:
        rank, world_size = self._place()
        if "train" not in self.sets:
            raise BadInput(f"{self.root / 'train'} does not exist: bn_batches needs it, or make that 0")
        self._check_batch_size()
        read = crops.random_scale_crop if self.augmentation == "scale" else crops.random_resized_crop
        files = ImageFiles(self.sets["train"], partial(read, size=self.image_size), self.colour_sigma)
        return TrainingFiles(files, self.damage, self.batch_size, self.seed, self._workers(), rank, world_size)

    def val_dataloader(self) -> dict[str, EvaluationFiles]:
        return {"val": self._evaluation("center")}

    def test_dataloader(self) -> EvaluationFiles:
        return self._evaluation(self.evaluation)

    def predict_dataloader(self) -> EvaluationFiles:
        files = self._evaluation(self.evaluation)
        files.chunks = remaining(files.chunks, self.predicted)
        return files

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> tuple[Any, ...]:
        """Normalised images, or views of them, and labels [B]; when evaluating, the images' numbers [B] too."""
        if isinstance(batch, TrainingBatch):
            mean, std = self._mean_and_std(batch.pixels.device)
            return normalize(batch.pixels, mean, std, batch.shifts), batch.labels
        pixels, labels, numbers = batch
        mean, std = self._mean_and_std(labels.device)
        views: Any
        if isinstance(pixels, list):  # whole images have no pixel that always lies at the same place
            mean = mean.mean((0, 1)) if mean.dim() == 3 else mean
            views = Scales([normalize(scale, mean, std) for scale in pixels], -(-self.image_size // 32))
        else:
            views = normalize(pixels, mean, std)
            views = Crops(views) if views.dim() == 5 else views
        return views, labels, numbers

    def preprocessing(self) -> Preprocessing | None:
        """What a network that was trained on these images expects of a picture; None before the mean is measured."""
        mean, std = self.pixel_mean, torch.ones(3)
        if self.normalization == "channel_mean_std":
            mean, std = CHANNEL_MEAN, CHANNEL_STD
        if not self.sets or mean is None:
            return None
        side = crops.scaled(crops.EVALUATION_SIDE, self.image_size)
        return Preprocessing(mean, std, self.image_size, side, self.sets["val"].classes)

    def state_dict(self) -> dict[str, Any]:
        known = {} if self.pixel_mean is None else {"pixel_mean": self.pixel_mean.cpu()}
        expected = self.preprocessing()
        return known | ({"preprocessing": expected.state()} if expected else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.pixel_mean = state.get("pixel_mean")

    def _check_batch_size(self) -> None:
        if self.batch_size > self.size("train"):
            raise BadInput(f"batch_size {self.batch_size}: there are only {self.size('train'):,} training images")

    def _evaluation(self, evaluation: Evaluation) -> EvaluationFiles:
        rank, world_size = self._place()
        listing = self.sets["val"]
        chunks = evaluation_shares(len(listing.paths), BATCHES[evaluation], rank, world_size)
        read: Read = partial(_centre_crop, size=self.image_size)
        if evaluation == "ten_crop":
            read = partial(_five_crops, size=self.image_size)
        elif evaluation == "multi_scale":
            sides = tuple(crops.scaled(side, self.image_size) for side in TEST_SCALES)
            read = partial(_scales, sides=sides)
            chunks = by_shape(listing, torch.cat(list(chunks)), BATCHES[evaluation])
        return EvaluationFiles(ImageFiles(listing, read), self.damage, chunks, self._workers())

    def _mean_and_std(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """As fractions of 255, [H, W, 3] or [3], and [3]."""
        if self.normalization == "channel_mean_std":
            if self.channels[0].device != device:  # once: a copy for every batch would wait for the device
                self.channels = CHANNEL_MEAN.to(device), CHANNEL_STD.to(device)
            return self.channels
        if self.pixel_mean is None:
            self.pixel_mean = self._measure_mean()
        if len(self.pixel_mean) != self.image_size:
            raise BadInput(
                f"image_size {self.image_size}: the checkpoint's mean image has {len(self.pixel_mean)} pixels a side"
            )
        self.pixel_mean = self.pixel_mean.to(device)
        return self.pixel_mean, torch.ones(3, device=device)

    def _measure_mean(self) -> Tensor:
        """The mean of the centre crops of some training images, as fractions of 255, float32 [H, W, 3]."""
        if "train" not in self.sets:
            raise BadInput(
                f"{self.root / 'train'} does not exist: without it the mean of the training images is not known "
                "(normalization: channel_mean_std needs none)"
            )
        files = ImageFiles(self.sets["train"], partial(_centre_crop, size=self.image_size))
        some = torch.tensor(sampled(self.size("train"), MEAN_IMAGES))
        total, count = torch.zeros(self.image_size, self.image_size, 3, dtype=torch.int64), 0
        for pixels, _, numbers in EvaluationFiles(files, self.damage, some.split(BATCHES["center"]), self._workers()):
            total += pixels.sum(0, dtype=torch.int64)
            count += len(numbers)
        return (total.double() / (255 * count)).float()

    def _workers(self) -> int:
        return usual_workers() if self.workers is None else self.workers

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


def by_shape(listing: Listing, numbers: Tensor, most: int) -> list[Tensor]:
    """Numbers of images [B] in groups of one size in pixels, so that they stay whole when stacked; at most so many."""
    shapes: dict[tuple[int, int], list[int]] = {}
    for number in numbers.tolist():
        try:
            shape = image_size(listing.path(number))
        except DamagedImage:
            shape = (0, 0)  # it is dealt with when it is decoded
        shapes.setdefault(shape, []).append(number)
    return [chunk for _, own in sorted(shapes.items()) for chunk in torch.tensor(own).split(most)]


def iterations_of(images: int, batch_size: int) -> int:
    """For as many epochs as the paper's 600,000 iterations of 256 on the whole of ImageNet."""
    return max(1, round(ITERATIONS * images / WHOLE[1] * 256 / batch_size))


def _centre_crop(path: str, _: int, size: int) -> Tensor:
    return crops.centre_crop(path, size)


def _five_crops(path: str, _: int, size: int) -> Tensor:
    return crops.five_crops(path, size)


def _scales(path: str, _: int, sides: tuple[int, ...]) -> list[Tensor]:
    return [crops.resized(path, side) for side in sides]
