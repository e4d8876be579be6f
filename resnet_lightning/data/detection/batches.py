"""Batches of images of unequal sizes with their boxes; order and flips depend on (seed, epoch, place) alone.

A batch is (images, targets): a list of float32 [3, H, W] from 0 to 1, and a list of dictionaries, see
Annotations.target.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from resnet_lightning.data.batches import evaluation_shares, share_of
from resnet_lightning.data.decode import DamagedImage, decode
from resnet_lightning.data.detection.annotations import Annotations, Target, box_area
from resnet_lightning.data.image_files import Key, loader, training_keys
from resnet_lightning.data.memory import share
from resnet_lightning.errors import BadInput

Batch = tuple[list[Tensor], list[Target]]


class DetectionImages(Dataset[tuple[Any, Key]]):
    """Decoded images, uint8 [3, H, W], by number and seed, each with this key of its own.

    Args:
        annotations: of the images.
        flip: whether half of the seeds mirror an image and its boxes.
        cut: boxes at the image's border, as for training; an evaluation leaves them as they are.
    """

    def __init__(self, annotations: Annotations, flip: bool, cut: bool) -> None:
        self.annotations = annotations
        self.flip = flip
        self.cut = cut

    def __len__(self) -> int:
        return len(self.annotations.paths)

    def __getitem__(self, key: Key) -> tuple[Any, Key]:
        """The image, or what is wrong with it in words."""
        try:
            pixels = decode(self.annotations.path(key[0])).permute(2, 0, 1)
        except DamagedImage as error:
            return str(error), key  # a worker's exception would arrive with the worker's traceback as its message
        return (pixels.flip(2) if self.mirrors(key[1]) else pixels).contiguous(), key

    def mirrors(self, seed: int) -> bool:
        return self.flip and random.Random(seed).random() < 0.5

    def target(self, key: Key, width: int, height: int) -> Target:
        """What is in an image of this size, after it was mirrored or not.

        Raises:
            BadInput: if it is not the image that was annotated.
        """
        number, seed = key
        target = self.annotations.target(number)
        if outside(target["boxes"], width, height).any():
            raise BadInput(
                f"{self.annotations.path(number)} has {width}×{height} pixels, and boxes outside of them: expected the "
                "image that was annotated"
            )
        if self.cut:
            boxes = within(target["boxes"], width, height)
            kept = box_area(boxes) > 0
            target = {name: values[kept] if values.dim() else values for name, values in target.items()}
            target["boxes"] = boxes[kept]
        if self.mirrors(seed):
            target["boxes"] = mirrored(target["boxes"], width)
        return target

    def batch(self, items: Sequence[tuple[Any, Key]]) -> Batch:
        """As a network takes it.

        Raises:
            BadInput: naming an image that cannot be used.
        """
        for pixels, _ in items:
            if isinstance(pixels, str):
                raise BadInput(f"{pixels}: put a whole one in its place")
        targets = [self.target(key, pixels.shape[2], pixels.shape[1]) for pixels, key in items]
        return [pixels.float() / 255 for pixels, _ in items], targets


def outside(boxes: Tensor, width: int, height: int) -> Tensor:
    """Which boxes [N, 4] have nothing in common with an image, not even an edge, bool [N]."""
    left, top, right, bottom = boxes.unbind(1)
    return (left > width) | (top > height) | (right < 0) | (bottom < 0)


def within(boxes: Tensor, width: int, height: int) -> Tensor:
    """Boxes [N, 4] cut at the border of an image."""
    return boxes.clamp(min=0).minimum(torch.tensor([width, height] * 2, dtype=boxes.dtype))


def mirrored(boxes: Tensor, width: int) -> Tensor:
    """Half-open boxes [N, 4] in the mirror image: what was x pixels from the left is x pixels from the right."""
    left, top, right, bottom = boxes.unbind(1)
    return torch.stack([width - right, top, width - left, bottom], 1)


class TrainingImages:
    """Endless epochs of shuffled batches, every one full.

    Each epoch leaves out the images that do not fill a last batch: others every time. The position is saved with a
    checkpoint, so that a resumed run goes on with the batch at which it stopped.

    Args:
        images: to train on.
        batch_size: images of one batch over all devices.
        seed: of order and flips.
        workers: processes that decode.
        rank, world_size: of the equal parts into which each batch is cut, this process takes the one of its rank.
    """

    def __init__(
        self, images: DetectionImages, batch_size: int, seed: int, workers: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.images = images
        self.batch_size = batch_size
        self.seed = seed
        self.workers = workers
        self.rank = rank
        self.share = share_of(batch_size, world_size)
        self.batches = 0
        self.stream: Iterator[Any] | None = None

    def __len__(self) -> int:
        return len(self.images) // self.batch_size

    def __iter__(self) -> Iterator[Batch]:
        if self.stream is None:  # one stream over all epochs: the workers never run dry between two
            place = slice(self.rank * self.share, (self.rank + 1) * self.share)
            keys = training_keys(len(self.images), self.batch_size, self.seed, self.batches, place)
            self.stream = decoded(self.images, keys, self.workers)
        for _ in range(self.batches % len(self), len(self)):
            self.batches += 1
            yield self.images.batch(next(self.stream))

    def state_dict(self) -> dict[str, int]:
        return {"batches": self.batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.batches = state["batches"]
        self.stream = None


class EvaluationImages:
    """Every image once, alone: beside others it would have a border that the padding makes.

    Over several processes every image is in exactly one of them, and all have as many batches: those of a process that
    has an image less than the others end with an empty one, since before each DistributedDataParallel waits for all.
    """

    def __init__(self, images: DetectionImages, workers: int, rank: int = 0, world_size: int = 1) -> None:
        self.images = images
        self.workers = workers
        self.chunks: Sequence[Tensor] = evaluation_shares(len(images), 1, rank, world_size)

    def __len__(self) -> int:
        return len(self.chunks)

    def __iter__(self) -> Iterator[Batch]:
        keys = ([(number, 0) for number in chunk.tolist()] for chunk in self.chunks)
        for batch in decoded(self.images, keys, self.workers):
            yield self.images.batch(batch)


def decoded(images: DetectionImages, keys: Iterator[list[Key]], workers: int) -> Iterator[Any]:
    """The images of the given batches in order: pairs of pixels, or what is wrong with them, and key."""
    return loader(images, keys, workers, (list, to_share))


def to_share(items: Sequence[tuple[Any, Key]]) -> list[tuple[Any, Key]]:
    """A batch on its way to another process."""
    return [(pixels if isinstance(pixels, str) else share(pixels), key) for pixels, key in items]
