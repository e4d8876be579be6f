"""The validation images of an ImageNet folder and their classes: class folders, or a flat val with its list."""

import os
import re
from pathlib import Path

import numpy as np
import scipy.io
import torch

from resnet_lightning.data.class_folders import Listing, class_folders, class_names, images_in, in_words, some
from resnet_lightning.errors import BadInput

# Where Tiny ImageNet keeps the validation images, and their list.
TINY_IMAGES, TINY_LIST = "images", "val_annotations.txt"


def validation_images(folder: Path, val_map: Path | None, classes: tuple[str, ...] | None) -> Listing:
    """The images of val/: in class folders, or all in one folder with a list of their classes.

    Args:
        val_map: the list; None expects class folders.
        classes: those of train, or None if there is no train.

    Raises:
        BadInput: if the classes are not those of train, or the list does not fit the images.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} does not exist: expected the validation images")
    if val_map is None:
        refuse_flat(folder)
        listing = class_folders(folder)
        if classes is not None and listing.classes != classes:
            missing = sorted(set(classes) - set(listing.classes))
            extra = sorted(set(listing.classes) - set(classes))
            words = [f"has no {some(missing)}"] * bool(missing) + [f"has {some(extra)} besides"] * bool(extra)
            raise BadInput(f"{folder} {' and '.join(words)}: expected the {len(classes)} class folders of train")
        return listing
    if classes is None:
        raise BadInput(f"val_map {val_map}: the classes are numbered by the folders of train, and there is none")
    if class_names(folder) == [TINY_IMAGES]:
        folder = folder / TINY_IMAGES
    names, others = images_in(folder)
    if not names:
        raise BadInput(f"val_map {val_map}: {folder} itself holds no images; leave val_map out for class folders")
    others.pop(val_map.suffix.lower(), None)
    labels = read_val_map(val_map, names, classes)
    paths = np.array([os.fsencode(str(folder / name)) for name in names])
    return Listing(paths, torch.tensor(labels), classes, in_words(others))


def refuse_flat(folder: Path) -> None:
    """Raises BadInput if the validation images lie without class folders: their classes are in a list."""
    names = class_names(folder)
    if names == [TINY_IMAGES] and (folder / TINY_LIST).is_file():
        raise BadInput(
            f"{folder / TINY_IMAGES} holds images without class folders: name the list of their classes with "
            f"--data.val_map={folder / TINY_LIST}"
        )
    if not names and images_in(folder)[0]:
        raise BadInput(
            f"{folder} holds images without class folders: name the list of their classes with data.init_args."
            "val_map (ILSVRC2012_validation_ground_truth.txt beside meta.mat, LOC_val_solution.csv, or lines of "
            "file name and class)"
        )


def read_val_map(path: Path, names: list[str], classes: tuple[str, ...]) -> list[int]:
    """The class number of each image of a flat validation folder.

    The lists that are in use: ILSVRC's own (one number a line, in the order of the names, which meta.mat beside it
    translates), one class a line in that order, and lines of file name and class, separated by spaces or a comma; a
    class is a WordNet ID or its number in their order (0 is the first).

    Raises:
        BadInput: naming the line that cannot be used, or the image that has none.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # some editors mark UTF-8
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
        raise BadInput(f"val_map {path} has no line for {some(missing)}")
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
