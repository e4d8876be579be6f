"""An instances JSON of COCO: its categories, images, and the objects in each."""

import json
import math
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from resnet_lightning.data.detection.annotations import Objects, objects_of
from resnet_lightning.errors import BadInput


class Instances(NamedTuple):
    """What a JSON holds.

    Args:
        categories: name by id, in the order of the ids, which have gaps.
        files: name of the image file by the image's id, in the order of the ids.
        counts: of objects in each image, in that order.
        objects: of all images, in that order.
    """

    categories: dict[int, str]
    files: dict[int, str]
    counts: list[int]
    objects: Objects


def read_instances(path: Path) -> Instances:
    """The contents of instances_<split>.json.

    Raises:
        BadInput: if it is missing, or no such JSON; naming an annotation that makes no sense.
    """
    try:
        contents = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist: expected COCO's instances of this split") from None
    except ValueError as error:
        raise BadInput(f"{path} is damaged: {error}") from error
    lists = ("images", "annotations", "categories")
    if not isinstance(contents, dict) or not all(isinstance(contents.get(name), list) for name in lists):
        raise BadInput(f"{path}: expected an object with the lists {', '.join(lists)}")
    images = by_id(contents["images"], "image", "file_name", path)
    categories = by_id(contents["categories"], "category", "name", path)
    if not images or not categories:
        raise BadInput(f"{path} lists {len(images)} images and {len(categories)} categories: expected some")
    counts = dict.fromkeys(images, 0)
    for each in contents["annotations"]:
        counts[check(each, images, categories, path)] += 1
    annotations = sorted(contents["annotations"], key=lambda each: each["image_id"])
    return Instances(
        {id: each["name"] for id, each in categories.items()},
        {id: each["file_name"] for id, each in images.items()},
        list(counts.values()),
        converted(annotations, categories),
    )


def by_id(entries: list[Any], what: str, text: str, path: Path) -> dict[int, dict[str, Any]]:
    """Images or categories in the order of their ids.

    Args:
        text: a name that each has to have.
    """
    found: dict[int, dict[str, Any]] = {}
    for each in entries:
        if not isinstance(each, dict) or not isinstance(each.get("id"), int) or not isinstance(each.get(text), str):
            raise BadInput(f"{path} has the {what} {reprlib.repr(each)}: expected a whole number as id, and {text}")
        if not all(isinstance(each.get(side) or 1, int | float) for side in ("width", "height")):
            raise BadInput(f"{path} has the {what} {each['id']} with a width or height that is no number of pixels")
        if each["id"] in found:
            raise BadInput(f"{path} has the {what} {each['id']} twice: expected each id once")
        found[each["id"]] = each
    return dict(sorted(found.items()))


def check(annotation: Any, images: Mapping[int, dict[str, Any]], categories: Mapping[int, Any], path: Path) -> int:
    """The id of the image that an annotation is of; BadInput if something in it cannot be."""
    if not isinstance(annotation, dict):
        raise BadInput(f"{path} has the annotation {reprlib.repr(annotation)}: expected names and values")
    name = f"{path}: annotation {annotation.get('id')}"
    image, category = annotation.get("image_id"), annotation.get("category_id")
    if not isinstance(image, int) or image not in images:
        raise BadInput(f"{name} is of image {image}, expected one that the file lists")
    if not isinstance(category, int) or category not in categories:
        raise BadInput(f"{name} is of category {category}, expected one of {', '.join(map(str, categories))}")
    box: Any = annotation.get("bbox")
    if not is_box(box):
        raise BadInput(f"{name} has bbox {box}, expected left, top, width and height in pixels")
    if not isinstance(annotation.get("area") or 0, int | float):
        raise BadInput(f"{name} has area {annotation['area']}, expected pixels")
    width, height = (images[image].get(side) or math.inf for side in ("width", "height"))
    if box[0] > width or box[1] > height or box[0] + box[2] < 0 or box[1] + box[3] < 0:
        raise BadInput(f"{name} has bbox {box}, expected a box in the {width}×{height} pixels of image {image}")
    return image


def is_box(value: Any) -> bool:
    """Whether this is left, top, width and height; COCO has objects of no width or height."""
    if not isinstance(value, list) or len(value) != 4 or not all(isinstance(each, int | float) for each in value):
        return False
    return all(map(math.isfinite, value)) and min(value[2:]) >= 0


def converted(annotations: list[dict[str, Any]], categories: Iterable[int]) -> Objects:
    """As objects: left, top, width, height to half-open corners, category ids to labels."""
    labels = {id: label for label, id in enumerate(categories, 1)}
    boxes = [(x, y, x + width, y + height) for x, y, width, height in (each["bbox"] for each in annotations)]
    sizes = ((each["bbox"], each.get("area")) for each in annotations)
    return objects_of(
        boxes,
        [labels[each["category_id"]] for each in annotations],
        crowd=[bool(each.get("iscrowd")) for each in annotations],
        area=[w * h if area is None else area for (_, _, w, h), area in sizes],
    )
