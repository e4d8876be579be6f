"""Which image files lie in the folders of their classes, and what else lies there."""

import os
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resnet_lightning.data.decode import endings
from resnet_lightning.errors import BadInput, speaks_for_node

# What macOS, Synology, QNAP, Windows, Linux and Python put beside and between a user's files, besides .hidden ones.
SYSTEM = {
    *("__MACOSX", "@eaDir", "#recycle", "@Recycle", "@Recently-Snapshot", "$RECYCLE.BIN", "System Volume Information"),
    *("lost+found", "__pycache__", "Thumbs.db", "desktop.ini"),
}


class Listing(NamedTuple):
    """The images of one set, by class and name, or by name alone in a flat folder.

    Args:
        paths: of the files, as bytes [N]: a million Python strings would be copied into every worker.
        labels: int64 [N].
        classes: names of the classes, such as WordNet IDs.
        left_out: what the folder holds besides, such as "3 .txt", or nothing.
    """

    paths: NDArray[np.bytes_]
    labels: Tensor
    classes: tuple[str, ...]
    left_out: str = ""

    def path(self, number: int) -> str:
        return os.fsdecode(bytes(self.paths[number]))


def list_class_folders(folder: Path) -> Listing:
    """The images below <folder>/<class>/, in torchvision's order; hidden folders and those of systems are no classes.

    Raises:
        BadInput: if there is no such folder, no class in it, no image in a class, or a folder cannot be read.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} does not exist: expected a folder with a folder of images for each class")
    left_out: Counter[str] = Counter()
    classes = class_names(folder)
    left_out.update(f"{_ending(name)} beside the class folders" for name in images_in(folder)[0])
    found = [_images_below(str(folder / name), frozenset(), left_out) for name in classes]
    if not classes:
        raise BadInput(f"{folder} holds no class folders: expected a folder of images for each class")
    if empty := [name for name, own in zip(classes, found, strict=True) if not own]:
        besides = f" (only {in_words(left_out)})" * bool(left_out)
        raise BadInput(f"{folder}: no images in {some(empty)}{besides}")
    paths = [os.fsencode(path) for own in found for _, names in sorted(own) for path in names]
    labels = [label for label, own in enumerate(found) for _, names in own for _ in names]
    return Listing(np.array(paths), torch.tensor(labels), tuple(classes), in_words(left_out))


class_folders = cache(list_class_folders)  # a list of a million files takes seconds, and is wanted several times


def class_names(folder: Path) -> list[str]:
    """The names of the class folders, in order, without a look into them.

    Raises:
        BadInput: if the folder cannot be read; for a link to a folder that does not exist: without it all labels after
            it would be off by one.
    """
    names = []
    for entry in _entries(folder):
        if is_system(entry.name):
            continue
        if entry.is_dir():
            names.append(entry.name)
        elif entry.is_symlink() and not os.path.exists(entry.path) and _ending(entry.name) not in endings():
            raise BadInput(f"{entry.path} is a link to {os.readlink(entry.path)}, which does not exist")
    return sorted(names)


def images_in(folder: Path) -> tuple[list[str], Counter[str]]:
    """The names of the image files that lie in the folder itself, in order; and the endings of its other files."""
    images: list[str] = []
    others: Counter[str] = Counter()
    for entry in _entries(folder):
        ending = _ending(entry.name)
        if is_system(entry.name):
            others["hidden"] += ending in endings() and not entry.is_dir()
        elif entry.is_dir():
            pass
        elif ending in endings() and (entry.is_file() or entry.is_symlink()):  # no pipe: it would be waited for
            images.append(entry.name)
        else:
            others[ending or "without an ending"] += 1
    return sorted(images), +others


def count_classes(folder: Path) -> int:
    """The number of class folders, without a look into them; 0 if there are none."""
    return len(class_names(folder)) if folder.is_dir() else 0


def is_system(name: str) -> bool:
    """Whether a file or folder is hidden, or made by a system for itself."""
    return name.startswith(".") or name in SYSTEM


def user_path(path: str | Path) -> Path:
    """The path with the home folder that ~ or ~user stands for.

    Raises:
        BadInput: if there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise BadInput(f"{path}: there is no such home folder") from error


@cache
def report_left_out(folder: Path, left_out: str) -> None:
    """Says on stderr, once, what files of a folder are not used."""
    if left_out and speaks_for_node():
        print(f"{folder}: left out {left_out}", file=sys.stderr, flush=True)


def some(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def in_words(counts: Counter[str]) -> str:
    """How many files of which endings, such as "3 .txt, 1 .heic"."""
    words = [f"{number:,} {ending}" for ending, number in counts.most_common(8)]
    return ", ".join(words) + " and others" * (len(counts) > 8)


def _images_below(
    folder: str, above: frozenset[tuple[int, int]], left_out: Counter[str]
) -> list[tuple[str, list[str]]]:
    """Folders with the paths of the images in each; links are followed, but not back to a folder above."""
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:
        return []
    names, others = images_in(Path(folder))
    left_out += others
    found = [(folder, [os.path.join(folder, name) for name in names])] if names else []
    for entry in _entries(folder):
        if entry.is_dir() and not is_system(entry.name):
            found += _images_below(entry.path, above | {here}, left_out)
    return found


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise BadInput(f"{folder} cannot be read: {error.strerror}") from error


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()
