"""Batches of image files that worker processes decode; their order and augmentation depend on (seed, epoch) alone."""

import multiprocessing
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from resnet_lightning.data.batches import epoch_generator, share_of
from resnet_lightning.data.class_folders import Listing
from resnet_lightning.data.colour import colour_shift
from resnet_lightning.data.decode import DamagedImage
from resnet_lightning.data.memory import share
from resnet_lightning.errors import BadInput

Key = tuple[int, int]  # number of an image, and the seed of its augmentation
Read = Callable[[str, int], Any]  # path and seed to uint8 pixels, or several of them


class TrainingBatch(NamedTuple):
    """Pixels uint8 [B, H, W, 3], colour shifts as fractions of 255 [B, 3], and labels [B]."""

    pixels: Tensor
    shifts: Tensor
    labels: Tensor


class ImageFiles(Dataset[tuple[Any, Tensor, int]]):
    """Decoded images by number and seed, each with its colour shift and its number.

    Args:
        listing: the files.
        read: decodes one.
        colour_sigma: of the colour shifts; 0 for none.
    """

    def __init__(self, listing: Listing, read: Read, colour_sigma: float = 0.0) -> None:
        self.listing = listing
        self.read = read
        self.colour_sigma = colour_sigma

    def __getitem__(self, key: Key) -> tuple[Any, Tensor, int]:
        number, seed = key
        try:
            pixels = self.read(self.listing.path(number), seed)
        except DamagedImage as error:
            pixels = str(error)  # a worker's exception would arrive with the worker's traceback as its message
        shift = colour_shift(seed, self.colour_sigma) if self.colour_sigma else torch.zeros(3)
        return pixels, shift, number


class Damage:
    """Keeps count of damaged images: the first one stops the run, or each is reported once and left out.

    Args:
        skip: leave out and count.
    """

    def __init__(self, skip: bool) -> None:
        self.skip = skip
        self.messages: set[str] = set()

    def note(self, messages: Sequence[str]) -> None:
        """Raises BadInput for the first message if damaged images are not to be skipped."""
        for message in messages:
            if not self.skip:
                raise BadInput(f"{message}: replace it, or leave such images out with data.init_args.skip_damaged=true")
            if message not in self.messages:
                self.messages.add(message)
                print(f"left out: {message}", file=sys.stderr, flush=True)


class TrainingFiles:
    """Endless epochs of shuffled, augmented batches.

    Every batch is full but for damaged images that are left out. Each epoch leaves out the images that do not fill a
    last batch: others every time. The position is saved with a checkpoint, so that a resumed run goes on with the batch
    at which it stopped.

    Args:
        files: the training images.
        damage: told of damaged ones.
        batch_size: images of one batch over all devices.
        seed: of order and augmentation.
        workers: processes that decode.
        rank, world_size: of the equal parts into which each batch is cut, this process takes the one of its rank.
    """

    def __init__(
        self,
        files: ImageFiles,
        damage: Damage,
        batch_size: int,
        seed: int,
        workers: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.files = files
        self.damage = damage
        self.batch_size = batch_size
        self.seed = seed
        self.workers = workers
        self.rank = rank
        self.share = share_of(batch_size, world_size)
        self.batches = 0
        self.empty = 0  # batches in a row of which every image was damaged
        self.stream: Iterator[Any] | None = None

    def __len__(self) -> int:
        return len(self.files.listing.paths) // self.batch_size

    def __iter__(self) -> Iterator[TrainingBatch]:
        if self.stream is None:  # one stream over all epochs: the workers never run dry between two
            self.stream = loader(self.files, self.keys(), self.workers)
        for _ in range(self.batches % len(self), len(self)):
            self.batches += 1
            pixels, shifts, numbers, damaged = next(self.stream)
            self.damage.note(damaged)
            self.empty = 0 if len(numbers) else self.empty + 1
            if self.empty >= len(self):
                raise BadInput("all training images are damaged")
            if len(numbers):
                yield TrainingBatch(pixels, shifts, self.files.listing.labels[numbers])

    def keys(self) -> Iterator[list[Key]]:
        """This process's part of each batch from the present one on, without end."""
        place = slice(self.rank * self.share, (self.rank + 1) * self.share)
        return training_keys(len(self.files.listing.paths), self.batch_size, self.seed, self.batches, place)

    def state_dict(self) -> dict[str, int]:
        return {"batches": self.batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.batches = state["batches"]
        self.stream = None


# Not a method: workers must end with the stream, and a reference back to its owner would have it wait for the garbage
# collector, over which workers that start meanwhile trip.
def training_keys(count: int, batch_size: int, seed: int, first: int, place: slice) -> Iterator[list[Key]]:
    """Keys of each batch from a given one on, without end.

    Args:
        count: number of training images.
        batch_size: images of one batch over all devices.
        seed: of order and augmentation.
        first: number of the first batch, counted over all epochs.
        place: which images of each batch are this process's.
    """
    while True:
        epoch, start = divmod(first, count // batch_size)
        generator = epoch_generator(seed, epoch)
        order = torch.randperm(count, generator=generator)
        seeds = torch.randint(2**62, (count,), generator=generator)
        for number in range(start, count // batch_size):
            batch = slice(number * batch_size, (number + 1) * batch_size)
            yield list(zip(order[batch][place].tolist(), seeds[batch][place].tolist(), strict=True))
        first = (epoch + 1) * (count // batch_size)


class EvaluationFiles:
    """Every image once; over several processes every image is in exactly one of them.

    A batch is what was decoded, uint8 [B, ...] or a list of such, labels [B] and numbers [B] of the images.

    Args:
        files: the images.
        damage: told of damaged ones.
        chunks: numbers of the images of each batch, [B] each.
        workers: processes that decode.
    """

    def __init__(self, files: ImageFiles, damage: Damage, chunks: Sequence[Tensor], workers: int) -> None:
        self.files = files
        self.damage = damage
        self.chunks = chunks
        self.workers = workers

    def __len__(self) -> int:
        return len(self.chunks)

    def __iter__(self) -> Iterator[tuple[Any, Tensor, Tensor]]:
        keys = ([(number, 0) for number in chunk.tolist()] for chunk in self.chunks)
        for pixels, _, numbers, damaged in loader(self.files, keys, self.workers):
            self.damage.note(damaged)
            if len(numbers):
                yield pixels, self.files.listing.labels[numbers], numbers


def loader(
    files: Dataset[Any],
    batches: Iterable[list[Key]],
    workers: int,
    collates: tuple[Callable[[Sequence[Any]], Any], Callable[[Sequence[Any]], Any]] | None = None,
) -> Iterator[Any]:
    """Decodes the given batches in order, some ahead of the one that is asked for.

    Args:
        files: give what is decoded for a key.
        batches: keys of each.
        workers: processes that decode.
        collates: make a batch of several: in this process, and in a worker; those of ImageFiles by default.

    Raises:
        BadInput: if processes cannot be started.
    """
    here, in_worker = collates or (collate, collate_in_worker)
    batched: DataLoader[Any] = DataLoader(
        files,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=in_worker if workers else here,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=start_worker,
        prefetch_factor=4 if workers else None,
    )
    try:
        if workers:
            multiprocessing.Lock()  # a loader that fails half-way prints an error of its own too
        return iter(batched)
    except OSError as error:  # their locks are small files in /dev/shm, and a container limits processes
        raise BadInput(
            f"{workers} processes that read images cannot be started ({error}): they need a /dev/shm that is not full "
            "(docker run --shm-size=1g), or leave them out with --data.workers=0"
        ) from error


def usual_workers() -> int:
    """One process beside a CPU that trains, and as many as there are cores for each GPU."""
    gpus = torch.cuda.device_count()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // gpus) if gpus else 1


def start_worker(_: int) -> None:
    """One thread; and only its own run ends it with SIGTERM.

    A cluster sends SIGTERM to every process of a run, which then has to finish its iteration, and needs the worker.
    """
    torch.set_num_threads(1)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # of the threads to come too
        threading.Thread(target=end_with_run, args=(os.getppid(),), daemon=True).start()


def end_with_run(run: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != run:
        pass
    os._exit(0)


def collate(items: Sequence[tuple[Any, Tensor, int]]) -> tuple[Any, Tensor, Tensor, list[str]]:
    """Whole images stacked, their colour shifts [B, 3] and numbers [B]; and what is wrong with the damaged ones."""
    damaged = [pixels for pixels, _, _ in items if isinstance(pixels, str)]
    whole = [item for item in items if not isinstance(item[0], str)]
    if not whole:
        return (), torch.empty(0, 3), torch.empty(0, dtype=torch.int64), damaged
    pixels, shifts, numbers = zip(*whole, strict=True)
    if isinstance(pixels[0], list):
        stacked: Any = [torch.stack(views) for views in zip(*pixels, strict=True)]
    else:
        stacked = torch.stack(pixels)
    return stacked, torch.stack(shifts), torch.tensor(numbers), damaged


def collate_in_worker(items: Sequence[tuple[Any, Tensor, int]]) -> tuple[Any, ...]:
    """What collate gives, on its way to another process."""
    pixels, shifts, numbers, damaged = collate(items)
    pixels = share(pixels) if isinstance(pixels, Tensor) else [share(views) for views in pixels]
    return pixels, share(shifts), share(numbers), damaged


def sampled(count: int, wanted: int) -> list[int]:
    """Some of the numbers below count, always the same ones, in order."""
    return sorted(random.Random(0).sample(range(count), min(count, wanted)))
