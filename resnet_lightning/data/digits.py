"""Scikit-learn's 1,797 handwritten digits: real images that come with a package, so nothing has to be downloaded."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn import functional as F

from resnet_lightning.data.augment import PaddingMode
from resnet_lightning.data.batches import Normalization, PaddingOrder
from resnet_lightning.data.datamodule import InMemoryDataModule

TEST_IMAGES = 360


class Digits(InMemoryDataModule):
    """8×8 grey digits, enlarged and given three equal channels: 1,437 to train and 360 to test, never mirrored.

    The arguments are those of InMemoryDataModule.
    """

    flip = False  # a mirrored digit is no digit

    def __init__(
        self,
        batch_size: int = 128,
        validation_images: int = 0,
        normalization: Normalization = "pixel_mean",
        pad: PaddingOrder = "after_normalization",
        padding: int = 2,
        image_size: int = 16,
        seed: int = 0,
        padding_mode: PaddingMode = "zeros",
        drop_last: bool = True,
    ) -> None:
        given = (batch_size, validation_images, normalization, pad, padding, image_size, seed, padding_mode, drop_last)
        super().__init__(*given)

    @property
    def title(self) -> str:
        return f"digits at {self.image_size}×{self.image_size}"

    def load(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        digits = load_digits()
        self.classes = tuple(map(str, digits.target_names))
        small = torch.from_numpy(digits.images).float()[:, None] * (255 / 16)
        size = (self.image_size, self.image_size)
        large = F.interpolate(small, size, mode="bilinear", align_corners=False).round().to(torch.uint8)
        images = large.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous()
        labels = torch.from_numpy(digits.target).long()
        numbers = torch.arange(len(labels))
        train, test = train_test_split(numbers, test_size=TEST_IMAGES, stratify=labels, random_state=0)
        return images[train], labels[train], images[test], labels[test]
