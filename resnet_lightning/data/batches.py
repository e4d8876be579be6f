"""Batches from images that stay on the device as bytes; their order and augmentation depend on (seed, epoch) alone."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from resnet_lightning.data.augment import PaddingMode, all_views, gather_views, pad, view_number
from resnet_lightning.errors import BadInput

Normalization = Literal["pixel_mean", "channel_mean_std"]
PaddingOrder = Literal["after_normalization", "before_normalization"]


class Images:
    """A set of images on a device, ready for cropping and normalisation.

    Args:
        images: uint8 [N, H, W, C].
        labels: int64 [N].
        mean: of the training images, as fractions of 255, float32 [H, W, C] or [C].
        std: likewise, float32 [C] (ones where nothing is to be divided).
        padding: pixels on each side for the random crop.
        order: pad the normalised image with zeros (the paper's order), or the image with black before normalising.
        device: where everything is kept.
        mode: zeros, or pixels that are mirrored at the border; then the order makes no difference.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        mean: Tensor,
        std: Tensor,
        padding: int,
        order: PaddingOrder,
        device: torch.device,
        mode: PaddingMode = "zeros",
    ) -> None:
        self.shape = images.shape[1:]
        self.padding = padding
        self.padded = pad(images, padding, mode).to(device)
        self.labels = labels.to(device)
        height, width, channels = self.shape
        one = self.padded.shape[1:]
        integers = torch.int32 if self.padded.numel() < 2**31 else torch.int64
        self.places = all_views(torch.arange(one.numel(), dtype=integers).view(one), padding).to(device)
        mean = (mean / std).expand(height, width, channels)
        if order == "after_normalization" or mode == "reflection":
            # A border of zeros is zero before and after the mean is taken away; a mirrored pixel has its own mean.
            self.means = all_views(pad(mean, padding, mode), padding).to(device)
        else:
            self.means = mean.flatten().expand(len(self.places), -1).to(device)
        self.scale = (1 / (255 * std)).expand(height * width, channels).flatten().to(device)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, images: Tensor, views: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised float32 [B, C, H, W] (channels last in memory) and labels int64 [B] of the given views."""
        pixels = gather_views(self.padded, self.places, images, views)
        values = pixels.float().mul_(self.scale).sub_(self.means.index_select(0, views))
        return values.view(len(images), *self.shape).permute(0, 3, 1, 2), self.labels[images]


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """What draws the order and the augmentation of one epoch."""
    # torch keeps 32 bits of a CPU seed: mix seed and epoch into them.
    return torch.Generator().manual_seed(int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0]))


def share_of(batch_size: int, devices: int) -> int:
    """Images of a batch on each of its devices.

    Raises:
        BadInput: if it does not come out even.
    """
    if batch_size % devices:
        raise BadInput(f"batch_size {batch_size}: it is shared by {devices} devices, which do not divide it")
    return batch_size // devices


class TrainingBatches:
    """Endless epochs of shuffled, cropped and flipped batches, every one full unless the last is kept.

    Each epoch leaves out the images that do not fill a last batch: others every time. The position is saved with a
    checkpoint, so that a resumed run goes on with the batch at which it stopped, in mid-epoch too.

    Args:
        images: the training images.
        batch_size: images of one batch over all devices.
        seed: of order, crops and flips.
        flip: whether half of the images are mirrored.
        rank, world_size: of the equal parts into which each batch is cut, this process takes the one of its rank.
        drop_last: False trains on the images that do not fill a last batch too, in a smaller one.

    Raises:
        BadInput: if the devices do not share a batch evenly.
    """

    def __init__(
        self,
        images: Images,
        batch_size: int,
        seed: int,
        flip: bool,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = True,
    ) -> None:
        self.images = images
        self.batch_size = batch_size
        self.seed = seed
        self.flip = flip
        self.rank = rank
        whole, rest = divmod(len(images), batch_size)
        # What each process takes of each batch of an epoch.
        self.shares = [share_of(batch_size, world_size)] * whole
        if rest and not drop_last:
            self.shares.append(share_of(rest, world_size))
        self.batches = 0

    def __len__(self) -> int:
        return len(self.shares)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch, start = divmod(self.batches, len(self))
        order, views = self.epoch(epoch)
        device = self.images.labels.device
        order, views = order.to(device, non_blocking=True), views.to(device, non_blocking=True)
        for number in range(start, len(self)):
            share = self.shares[number]
            begin = number * self.batch_size + self.rank * share
            mine = slice(begin, begin + share)
            self.batches += 1
            yield self.images.batch(order[mine], views[mine])

    def epoch(self, epoch: int) -> tuple[Tensor, Tensor]:
        """The order of the images and the view of each place in that order, drawn on the CPU whatever the device."""
        generator = epoch_generator(self.seed, epoch)
        count, places = len(self.images), 2 * self.images.padding + 1
        order = torch.randperm(count, generator=generator)
        dy = torch.randint(places, (count,), generator=generator)
        dx = torch.randint(places, (count,), generator=generator)
        flip = torch.randint(2, (count,), generator=generator) if self.flip else torch.zeros_like(dx)
        return order, view_number(dy, dx, flip, self.images.padding)

    def state_dict(self) -> dict[str, int]:
        return {"batches": self.batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.batches = state["batches"]


class EvaluationBatches:
    """Every image once, unchanged, in order; over several processes every image is in exactly one of them.

    A batch is images [B, C, H, W], labels [B] and the images' numbers [B].
    """

    def __init__(self, images: Images, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.images = images
        self.chunks: Sequence[Tensor] = [
            chunk.to(images.labels.device) for chunk in evaluation_shares(len(images), batch_size, rank, world_size)
        ]

    def __len__(self) -> int:
        return len(self.chunks)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        centre = torch.tensor(self.images.padding)
        view = int(view_number(centre, centre, torch.tensor(0), self.images.padding))
        for chunk in self.chunks:
            yield *self.images.batch(chunk, torch.full_like(chunk, view)), chunk


def evaluation_shares(count: int, most: int, rank: int, world_size: int) -> Sequence[Tensor]:
    """Numbers of the images that one process evaluates, in batches [B] of at most so many.

    All processes have the same number of batches: before each, DistributedDataParallel waits for all of them.
    """
    batches = -(-count // (world_size * most))
    return torch.arange(rank, count, world_size).tensor_split(batches)


def remaining(chunks: Sequence[Tensor], done: Tensor | None) -> list[Tensor]:
    """The batches of image numbers [B] in which something is still to do, by bool [N]."""
    return [chunk for chunk in chunks if done is None or not done[chunk.cpu()].all()]
