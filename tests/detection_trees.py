"""Small trees of VOC and COCO: images in which every object is a rectangle of one colour on black."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Box = tuple[int, int, int, int]  # half-open, pixels
SIZES = ((60, 40), (40, 60), (48, 48))  # width, height
COLOURS = {"dog": (255, 0, 0), "person": (0, 0, 255), "cat": (0, 255, 0)}
NAMES = tuple(COLOURS)


def objects(number: int) -> list[tuple[str, Box]]:
    """What is in an image: a dog in every one, a person in every second; nothing in every fifth."""
    if number % 5 == 4:
        return []
    return [("dog", (2 + number % 7, 3, 14 + number % 7, 20))] + [("person", (25, 5, 38, 30))] * (number % 2)


def picture(size: tuple[int, int], found: Sequence[tuple[str, Box]]) -> Image.Image:
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    for name, (left, top, right, bottom) in found:
        pixels[top:bottom, left:right] = COLOURS[name]
    return Image.fromarray(pixels)


def write_year(folder: Path, lists: dict[str, int], first: int = 0) -> None:
    """A year of VOC, with so many images in each list, no image in two of them; 1 of 3 objects is difficult."""
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    for name, count in lists.items():
        numbers = range(first, first + count)
        first += count
        (folder / "ImageSets" / "Main" / f"{name}.txt").write_text("".join(f"{each:06}\n" for each in numbers))
        for number in numbers:
            size = SIZES[number % 3]
            picture(size, objects(number)).save(folder / "JPEGImages" / f"{number:06}.jpg", quality=95)
            xml = annotation(size, objects(number), difficult=number % 3 == 2)
            (folder / "Annotations" / f"{number:06}.xml").write_text(xml)


def annotation(size: tuple[int, int], found: Sequence[tuple[str, Box]], difficult: bool = False) -> str:
    """As VOC 2012 writes it: the corners in another order, and a part of each object with a box of its own."""
    lines = [f"<annotation><size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"]
    for name, (left, top, right, bottom) in found:
        part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>"
        box = f"<xmax>{right}</xmax><xmin>{left + 1}</xmin><ymax>{bottom}</ymax><ymin>{top + 1}</ymin>"
        lines.append(f"<object>{part}<name>{name}</name><difficult>{difficult:d}</difficult>")
        lines.append(f"<bndbox>{box}</bndbox></object>")
    return "\n".join([*lines, "</annotation>"])


def write_coco(root: Path, splits: dict[str, int]) -> Path:
    """Splits with so many images, ids with gaps; a crowd of dogs in every third image, reaching out of it a little."""
    (root / "annotations").mkdir(parents=True)
    first = 3
    for split, count in splits.items():
        (root / split).mkdir()
        ids = [7 * number for number in range(first, first + count)]
        first += count
        contents: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": []}
        contents["categories"] = [{"id": 13 * place, "name": name} for place, name in enumerate(NAMES, 1)][::-1]
        for id in ids:
            size, file = SIZES[id % 3], f"{id:012}.jpg"
            picture(size, objects(id)).save(root / split / file, quality=95)
            contents["images"].append({"id": id, "file_name": file, "width": size[0], "height": size[1]})
            found = [(name, box, False) for name, box in objects(id)]
            found += [("dog", (20, 20, size[0] + 1, 40), True)] * (id % 3 == 0)
            for name, (left, top, right, bottom), crowd in found:
                contents["annotations"].append(
                    {
                        "id": len(contents["annotations"]) + 1,
                        "image_id": id,
                        "category_id": 13 * (NAMES.index(name) + 1),
                        "bbox": [left, top, right - left, bottom - top],
                        "area": (right - left) * (bottom - top) / 2,
                        "iscrowd": int(crowd),
                    }
                )
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(contents))
    return root
