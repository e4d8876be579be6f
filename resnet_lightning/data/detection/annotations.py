"""Which images there are, and the objects in each: boxes, classes, and what is not to be counted."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resnet_lightning.errors import BadInput

Target = dict[str, Tensor]


class Objects(NamedTuple):
    """M objects.

    Args:
        boxes: float32 [M, 4], half-open in pixels: left, top, right, bottom.
        labels: int64 [M], from 1 on.
        difficult: bool [M], neither hit nor miss when VOC is evaluated.
        crowd: bool [M], a box around many, which COCO does not count.
        area: float32 [M], square pixels, of the object where it is known, else of its box.
    """

    boxes: Tensor
    labels: Tensor
    difficult: Tensor
    crowd: Tensor
    area: Tensor


class Annotations(NamedTuple):
    """N images with their objects one after the other, as a worker would copy a million Python objects.

    Args:
        paths: of the files, as bytes [N].
        ids: int64 [N], each once.
        starts: int64 [N + 1]: the objects of image n are those from starts[n] to starts[n + 1].
        objects: of all images.
    """

    paths: NDArray[np.bytes_]
    ids: Tensor
    starts: Tensor
    objects: Objects

    def path(self, number: int) -> str:
        return os.fsdecode(bytes(self.paths[number]))

    def target(self, number: int) -> Target:
        """boxes, labels, difficult, crowd and area of an image's objects, and its image_id, int64 []."""
        own = slice(int(self.starts[number]), int(self.starts[number + 1]))
        found = {name: values[own] for name, values in self.objects._asdict().items()}
        return found | {"image_id": self.ids[number]}

    def where(self, keep: Tensor) -> "Annotations":
        """With some of the objects only, by bool [M]; all the images."""
        before = torch.cat([torch.zeros(1, dtype=torch.int64), keep.cumsum(0)])
        objects = Objects(*(values[keep] for values in self.objects))
        return Annotations(self.paths, self.ids, before[self.starts], objects)

    def only(self, kept: Tensor) -> "Annotations":
        """With some of the images only, by bool [N], and with their objects."""
        counts = self.starts.diff()
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), counts[kept].cumsum(0)])
        objects = Objects(*(values[kept.repeat_interleave(counts)] for values in self.objects))
        return Annotations(self.paths[kept.numpy()], self.ids[kept], starts, objects)

    def with_objects(self) -> "Annotations":
        """Without the images that have none."""
        return self.only(self.starts.diff() > 0)

    def first(self, images: int | None) -> "Annotations":
        """The first images; all of them for None."""
        return self if images is None else self.only(torch.arange(len(self.paths)) < images)


def gathered(paths: Sequence[Path], ids: Sequence[int], counts: Sequence[int], objects: Objects) -> Annotations:
    """Annotations of images with so many objects each, which are given one after the other."""
    names = np.array([os.fsencode(path) for path in paths], dtype=np.bytes_)
    starts = torch.tensor([0, *counts], dtype=torch.int64).cumsum(0)
    return Annotations(names, torch.tensor(ids, dtype=torch.int64), starts, objects)


def objects_of(
    boxes: Sequence[Sequence[float]],
    labels: Sequence[int],
    difficult: Sequence[bool] | None = None,
    crowd: Sequence[bool] | None = None,
    area: Sequence[float] | None = None,
) -> Objects:
    """From numbers; by default none is difficult, none a crowd, and the areas are those of the boxes."""
    corners = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    none = [False] * len(labels)
    return Objects(
        corners,
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(none if difficult is None else difficult, dtype=torch.bool),
        torch.tensor(none if crowd is None else crowd, dtype=torch.bool),
        box_area(corners) if area is None else torch.tensor(area, dtype=torch.float32),
    )


def box_area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)


def check_images(folder: Path, names: Sequence[str], named_by: Path) -> None:
    """Raises BadInput for images of a list that are not in their folder, before an hour has gone by."""
    there = set(os.listdir(folder)) if folder.is_dir() else set()
    missing = [name for name in names if name not in there]
    if not missing:
        return
    of = f", one of {len(missing):,} missing of {len(names):,}" if len(missing) > 1 else ""
    other = ": is it the list of another split?" if len(missing) > len(names) // 2 and there else ""
    raise BadInput(f"{folder / missing[0]} does not exist, which {named_by} names{of}{other}")
