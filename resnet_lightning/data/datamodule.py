"""What the in-memory data sets share: the held-out split, the mean, and batches for every stage (section 4.2)."""

from abc import abstractmethod
from typing import Any

import torch
from lightning import LightningDataModule
from torch import Tensor

from resnet_lightning.data.augment import PaddingMode
from resnet_lightning.data.batches import (
    EvaluationBatches,
    Images,
    Normalization,
    PaddingOrder,
    TrainingBatches,
    remaining,
)
from resnet_lightning.data.preprocessing import Preprocessing
from resnet_lightning.errors import BadInput

SPLIT_SEED = 45_000  # of the held-out images: the same images whatever the seed of the run
EVALUATION_BATCH = 500


class InMemoryDataModule(LightningDataModule):
    """Images that fit into memory, as bytes on the device.

    While training, the test set is evaluated for the paper's curves, as `test`, and the held-out images, if any, as
    `val`. Nothing is ever chosen by either.

    Args:
        batch_size: images of one training batch, over all devices together.
        validation_images: training images held out (the paper's 45k/5k split has 5000); 0 trains on all.
        normalization: subtract the mean of each pixel (the paper), or the mean of each channel and divide by its
            standard deviation.
        pad: zeros around the normalised image (the paper), or black around the image before normalising.
        padding: pixels on each side for the random crop.
        image_size: side of the images; the paper's 32 for CIFAR-10.
        seed: of order, crops and flips; the command line sets it from seed_everything.
        padding_mode: what is padded with: zeros (the paper), or pixels that are mirrored at the border.
        drop_last: leave out of each epoch what does not fill a last batch, others every time; or train on it in a
            smaller batch.
    """

    flip = True
    evaluation = "center"  # one view of each image
    damaged_images = 0  # a damaged file is refused when it is read
    classes: tuple[str, ...]  # names, in the order of the labels; load() sets them

    def __init__(
        self,
        batch_size: int,
        validation_images: int,
        normalization: Normalization,
        pad: PaddingOrder,
        padding: int,
        image_size: int,
        seed: int,
        padding_mode: PaddingMode = "zeros",
        drop_last: bool = True,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise BadInput(f"batch_size {batch_size}: expected a number of images, at least 1")
        if image_size < 1:
            raise BadInput(f"image_size {image_size}: expected a number of pixels")
        most = image_size - (padding_mode == "reflection")
        if not 0 <= padding <= most:
            raise BadInput(f"padding {padding}: expected 0 to {most} pixels")
        self.batch_size = batch_size
        self.validation_images = validation_images
        self.normalization = normalization
        self.pad = pad
        self.padding = padding
        self.padding_mode = padding_mode
        self.drop_last = drop_last
        self.image_size = image_size
        self.seed = seed
        self.sets: dict[str, tuple[Tensor, Tensor]] = {}
        self.on_device: dict[str, Images] = {}
        self.predicted: Tensor | None = None  # which images need not be predicted again, bool [N]

    @property
    @abstractmethod
    def title(self) -> str:
        """What a table says the numbers were measured on."""

    @abstractmethod
    def load(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Training images uint8 [N, H, W, C], their labels int64 [N], test images, and their labels."""

    def setup(self, stage: str) -> None:
        """Reads the images and holds some out.

        Raises:
            BadInput: if a size does not fit the data.
        """
        if self.sets:
            return
        images, labels, test_images, test_labels = self.load()
        if not 0 <= self.validation_images < len(labels):
            raise BadInput(f"validation_images {self.validation_images}: there are {len(labels):,} training images")
        shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SPLIT_SEED))
        held_out, used = shuffled.split([self.validation_images, len(labels) - self.validation_images])
        used = used.sort().values
        if not 1 <= self.batch_size <= len(used):
            raise BadInput(f"batch_size {self.batch_size}: expected 1 to {len(used):,}, the number of training images")
        self.sets = {"train": (images[used], labels[used]), "test": (test_images, test_labels)}
        if self.validation_images:
            self.sets["val"] = (images[held_out], labels[held_out])
        self.mean, self.std = mean_and_std(images[used], self.normalization)

    def preprocessing(self) -> Preprocessing:
        """What a network that was trained on these images expects of a picture."""
        return Preprocessing(self.mean, self.std, self.image_size, self.image_size, self.classes)

    def state_dict(self) -> dict[str, Any]:
        """For whoever uses the network later; a run that goes on makes it again."""
        return {"preprocessing": self.preprocessing().state()} if self.sets else {}

    def size(self, name: str) -> int:
        """Number of images in train, val or test."""
        return len(self.sets[name][1]) if name in self.sets else 0

    def train_dataloader(self) -> TrainingBatches:
        rank, world_size = self._place()
        images = self._images("train")
        return TrainingBatches(images, self.batch_size, self.seed, self.flip, rank, world_size, self.drop_last)

    def val_dataloader(self) -> dict[str, EvaluationBatches]:
        return {name: self._evaluation(name) for name in ("val", "test") if name in self.sets}

    def test_dataloader(self) -> EvaluationBatches:
        return self._evaluation("test")

    def predict_dataloader(self) -> EvaluationBatches:
        batches = self._evaluation("test")
        batches.chunks = remaining(batches.chunks, self.predicted)
        return batches

    def _evaluation(self, name: str) -> EvaluationBatches:
        return EvaluationBatches(self._images(name), EVALUATION_BATCH, *self._place())

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _images(self, name: str) -> Images:
        if name not in self.on_device:
            device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
            padding = self.padding if name == "train" else 0
            images, labels = self.sets[name]
            self.on_device[name] = Images(
                images, labels, self.mean, self.std, padding, self.pad, device, self.padding_mode
            )
        return self.on_device[name]


def mean_and_std(images: Tensor, normalization: Normalization) -> tuple[Tensor, Tensor]:
    """Mean and divisor of images uint8 [N, H, W, C], as fractions of 255: [H, W, C] and ones, or [C] and [C]."""
    # Sums of bytes are exact integers here; a float32 mean over CIFAR-10 is off in the first digit.
    total = images.sum(0, dtype=torch.int64).double()
    if normalization == "pixel_mean":
        return (total / (255 * len(images))).float(), torch.ones(images.shape[-1])
    count = images[..., 0].numel()
    mean = total.sum((0, 1)) / (255 * count)
    squares = sum((part.double() ** 2).sum((0, 1, 2)) for part in images.split(1000))
    std = (torch.as_tensor(squares) / (255**2 * count) - mean**2).sqrt()
    return mean.float(), std.float()
