"""Which image files an ImageNet folder holds, and their classes: class folders, or ILSVRC's flat val with its list."""

import os
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.io
import torch
import torchvision.datasets
from numpy.typing import NDArray
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS, find_classes

from resnet_lightning.errors import BadInput


class Listing(NamedTuple):
    """The images of one set, by class and name, or by name alone in a flat folder.

    Args:
        paths: of the files, as bytes [N]: a million Python strings would be copied into every worker.
        labels: int64 [N].
        classes: names of the classes, such as WordNet IDs.
    """

    paths: NDArray[np.bytes_]
    labels: Tensor
    classes: tuple[str, ...]

    def path(self, number: int) -> str:
        return os.fsdecode(bytes(self.paths[number]))


@cache
def class_folders(folder: Path) -> Listing:
    """The images below <folder>/<class>/; files that are no images by their name are left out.

    Raises:
        BadInput: if there is no such folder, no class in it, or no image in a class.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} does not exist: expected a folder with a folder of images for each class")
    try:
        found = torchvision.datasets.ImageFolder(str(folder))
    except FileNotFoundError as error:  # it names the classes without images
        raise BadInput(f"{folder}: {error}") from error
    paths = np.array([os.fsencode(path) for path, _ in found.samples])
    return Listing(paths, torch.tensor(found.targets), tuple(found.classes))


def validation_images(folder: Path, val_map: Path | None, classes: tuple[str, ...] | None) -> Listing:
    """The images of val/: in class folders, or all in one folder with a list of their classes.

    Args:
        val_map: the list; None expects class folders.
        classes: those of train, or None if there is no train.

    Raises:
        BadInput: if the classes are not those of train, or the list does not fit the images.
    """
    if val_map is None:
        if folder.is_dir() and _images(folder) and not any(entry.is_dir() for entry in folder.iterdir()):
            raise BadInput(
                f"{folder} holds images without class folders: name the list of their classes with data.init_args."
                "val_map (ILSVRC2012_validation_ground_truth.txt beside meta.mat, LOC_val_solution.csv, or lines of "
                "file name and class)"
            )
        listing = class_folders(folder)
        if classes is not None and listing.classes != classes:
            missing = sorted(set(classes) - set(listing.classes))
            extra = sorted(set(listing.classes) - set(classes))
            words = [f"has no {_some(missing)}"] * bool(missing) + [f"has {_some(extra)} besides"] * bool(extra)
            raise BadInput(f"{folder} {' and '.join(words)}: expected the {len(classes)} class folders of train")
        return listing
    if classes is None:
        raise BadInput(f"val_map {val_map}: the classes are numbered by the folders of train, and there is none")
    names = _images(folder)
    if not names:
        raise BadInput(f"val_map {val_map}: {folder} itself holds no images; leave val_map out for class folders")
    labels = read_val_map(val_map, names, classes)
    paths = np.array([os.fsencode(str(folder / name)) for name in names])
    return Listing(paths, torch.tensor(labels), classes)


def read_val_map(path: Path, names: list[str], classes: tuple[str, ...]) -> list[int]:
    """The class number of each image of a flat validation folder.

    The lists that are in use: ILSVRC's own (one number a line, in the order of the names, which meta.mat beside it
    translates), one class a line in that order, and lines of file name and class, separated by spaces or a comma; a
    class is a WordNet ID or its number in their order (0 is the first).

    Raises:
        BadInput: naming the line that cannot be used, or the image that has none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"val_map {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    numbers: dict[str, int] = {name: number for number, name in enumerate(classes)}
    words = {number: re.split(r"[,\s]+", line.strip())[:2] for number, line in enumerate(lines, 1) if line.strip()}
    if 1 in words and words[1][0] == "ImageId":  # Kaggle's header
        del words[1]
    alone = all(len(pair) == 1 for pair in words.values())
    if alone and len(words) != len(names):
        raise BadInput(f"val_map {path} has {len(words):,} lines for {len(names):,} images")
    translated = _devkit_numbers(path, numbers) if alone and all(w[0].isdigit() for w in words.values()) else numbers
    by_name: dict[str, int] = {}
    for name, (line, pair) in zip(names if alone else [""] * len(words), words.items(), strict=True):
        given, label = (name, pair[0]) if alone else (Path(pair[0]).stem, pair[1] if len(pair) > 1 else "")
        if label not in translated and (alone or not label.isdigit() or int(label) >= len(classes)):
            raise BadInput(f"val_map {path}, line {line}: {label!r} is none of the {len(classes)} classes of train")
        by_name[given] = translated[label] if label in translated else int(label)
    keys = names if alone else [Path(name).stem for name in names]
    if missing := [name for name, key in zip(names, keys, strict=True) if key not in by_name]:
        raise BadInput(f"val_map {path} has no line for {_some(missing)}")
    if len(by_name) < len(words):
        raise BadInput(f"val_map {path} has {len(words):,} lines for {len(by_name):,} images: some are listed twice")
    return [by_name[key] for key in keys]


def _devkit_numbers(path: Path, numbers: dict[str, int]) -> dict[str, int]:
    """Class numbers by ILSVRC's own numbers, 1 to 1000, which are not in the order of the WordNet IDs."""
    meta = path.with_name("meta.mat")
    if not meta.is_file():
        raise BadInput(f"val_map {path} holds ILSVRC's own numbers: its meta.mat must be beside it")
    synsets = scipy.io.loadmat(str(meta), squeeze_me=True)["synsets"]
    return {str(synset[0]): numbers[str(synset[1])] for synset in synsets if str(synset[1]) in numbers}


def _images(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise BadInput(f"{folder} does not exist: expected the validation images")
    return sorted(entry.name for entry in os.scandir(folder) if entry.name.lower().endswith(IMG_EXTENSIONS))


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def count_classes(folder: Path) -> int:
    """The number of class folders, without a look into them; 0 if there are none."""
    try:
        return len(find_classes(str(folder))[0])
    except OSError:
        return 0
