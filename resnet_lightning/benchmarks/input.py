"""`bench_input`: images per second that one core decodes and augments, beside what torchvision does."""

import random
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from math import ceil
from statistics import median
from typing import Any

import jsonargparse
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import functional

from resnet_lightning.benchmarks.speed import REPORTS, spread, versions
from resnet_lightning.data import crops, decode
from resnet_lightning.data.class_folders import class_folders, user_path
from resnet_lightning.data.imagenet import DEFAULT_ROOT
from resnet_lightning.errors import BadInput
from resnet_lightning.files import write_text
from resnet_lightning.reporting.table import Table, print_tables, to_markdown
from resnet_lightning.runs.folder import make_folder, write_json

SIZE = 224
FILES = 500  # spread over all classes; so few stay in memory, and no disk is measured
GPUS = (1000, 2500)  # images per second at which GPUs train ResNet-50
COLOURS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
STANDARD, STANDARD_OURS = "random resized crop, torchvision", "random resized crop, this package"
SCALE, SCALE_OURS = "scale augmentation, torchvision", "scale augmentation, this package"
CENTRE = "centre crop, this package"
BESIDE = {STANDARD_OURS: STANDARD, SCALE_OURS: SCALE}

Rounds = dict[str, list[float]]


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning bench-input`."""
    jsonargparse.auto_cli(
        bench_input, args=list(arguments), prog="resnet-lightning bench-input", exit_on_error=False, allow_abbrev=False
    )


def bench_input(data: str = DEFAULT_ROOT, rounds: int = 5, seconds: float = 5.0) -> None:
    """Measures, prints, and writes reports/bench_input.md and reports/bench_input.json.

    All ways take turns on one thread, so that noise hits them alike, and each round compares what it measured itself.

    Args:
        data: a folder with train/<class>/*.
        rounds: how often each way is measured.
        seconds: of each measurement.

    Raises:
        BadInput: if there are no images, one of them is damaged, or a number makes no sense.
    """
    if rounds < 1 or not seconds > 0:
        raise BadInput(f"{rounds} rounds of {seconds} seconds: expected at least 1 round and more than 0 seconds")
    listing = class_folders(user_path(data) / "train")
    step = ceil(len(listing.paths) / FILES)
    paths = [listing.path(number) for number in range(0, len(listing.paths), step)]
    make_folder(REPORTS)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        measured = measure_rounds(paths, rounds, seconds)
    except decode.DamagedImage as error:
        raise BadInput(str(error)) from error
    finally:
        torch.set_num_threads(threads)
    pixels = median(width * height for width, height in map(decode.image_size, paths))
    table = to_table(measured, f"{len(paths)} images, median {pixels:,.0f} pixels")
    print_tables([table])
    contents = {"versions": versions(), "decoder": decode.decoder(), "seconds": seconds, "images_per_second": measured}
    write_json(REPORTS / "bench_input.json", contents)
    write_text(REPORTS / "bench_input.md", to_markdown(table))
    print(f"written: {REPORTS / 'bench_input.md'}, {REPORTS / 'bench_input.json'}")


def measure_rounds(paths: list[str], rounds: int, seconds: float) -> Rounds:
    ways: dict[str, Callable[[str], Tensor]] = {
        STANDARD: torchvision(transforms.RandomResizedCrop(SIZE)),
        STANDARD_OURS: lambda path: crops.random_resized_crop(path, random.getrandbits(32), SIZE),
        SCALE: torchvision(resized, transforms.RandomCrop(SIZE)),
        SCALE_OURS: lambda path: crops.random_scale_crop(path, random.getrandbits(32), SIZE),
        CENTRE: lambda path: crops.centre_crop(path, SIZE),
    }
    print(f"{rounds} rounds of {len(ways)} measurements of {seconds:g} seconds, one thread", flush=True)
    for path in paths:  # into memory; and a damaged one is named before anything is measured
        crops.centre_crop(path, SIZE)
    measured: Rounds = {name: [] for name in ways}
    for number in range(1, rounds + 1):
        for name, read in ways.items():
            measured[name].append(speed(read, paths, seconds))
            print(f"round {number} of {rounds}: {name}: {measured[name][-1]:,.0f} images/s", flush=True)
    return measured


def speed(read: Callable[[str], Tensor], paths: list[str], seconds: float) -> float:
    """Images per second, after a few to warm up."""
    for path in paths[:10]:
        read(path)
    endless, done, start = cycle(paths), 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        for path in islice(endless, 10):
            read(path)
        done += 10
    return done / passed


def torchvision(*ways: Callable[..., Any]) -> Callable[[str], Tensor]:
    """An image as it is usually augmented for ImageNet: to normalised floats [3, 224, 224]."""
    last = [transforms.RandomHorizontalFlip(), transforms.ToTensor(), transforms.Normalize(*COLOURS)]
    made: Callable[[str], Tensor] = transforms.Compose([open_rgb, *ways, *last])
    return made


def resized(image: Image.Image) -> Image.Image:
    """Section 3.4's scale augmentation as it is usually written: the whole image is resized, then cropped."""
    made: Image.Image = functional.resize(image, random.randint(*crops.TRAIN_SIDES))
    return made


def open_rgb(path: str) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def to_table(measured: Rounds, images: str) -> Table:
    """Images per second, and each of ours beside torchvision's of the same round."""
    rows = []
    for name, speeds in measured.items():
        other = measured.get(BESIDE.get(name, ""))
        ratio = spread([a / b for a, b in zip(speeds, other, strict=True)], ".2f", "×") if other else ""
        rows.append((name, spread(speeds, ",.0f"), ratio))
    cores = [f"{ceil(gpu / median(measured[SCALE_OURS]))} for {gpu:,} images/s" for gpu in GPUS]
    notes = (
        f"{images}; JPEG by {decode.decoder()}; PyTorch {torch.__version__}. Median (lowest–highest) of the rounds.",
        "torchvision: Pillow, to normalised floats. This package: to bytes; the device normalises whole batches.",
        f"Such cores that feed a GPU which trains ResNet-50 with scale augmentation: {', '.join(cores)}.",
    )
    columns = ("Measured", "images/s", "beside torchvision")
    return Table(f"Decoding and augmenting on one core, {SIZE} × {SIZE}", columns, tuple(rows), notes)
