"""An instances JSON of COCO: its categories, images, and the objects in each."""

import json
import math
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
    try:
        categories = {
            each["id"]: str(each["name"]) for each in sorted(contents["categories"], key=lambda each: each["id"])
        }
        images = {each["id"]: each for each in sorted(contents["images"], key=lambda image: image["id"])}
        files = {id: str(each["file_name"]) for id, each in images.items()}
    except (KeyError, TypeError) as error:
        raise BadInput(f"{path}: an image or a category has no {error}") from error
    if not images or not categories:
        raise BadInput(f"{path} lists {len(images)} images and {len(categories)} categories: expected some")
    counts = dict.fromkeys(images, 0)
    for each in contents["annotations"]:
        counts[check(each, images, categories, path)] += 1
    annotations = sorted(contents["annotations"], key=lambda each: int(each["image_id"]))
    return Instances(categories, files, list(counts.values()), converted(annotations, categories))


def check(annotation: dict[str, Any], images: dict[int, dict[str, Any]], categories: dict[int, str], path: Path) -> int:
    """The id of the image that an annotation is of; BadInput if something in it cannot be."""
    name = f"{path}: annotation {annotation.get('id')}"
    image, category = annotation.get("image_id"), annotation.get("category_id")
    if image not in images:
        raise BadInput(f"{name} is of image {image}, expected one that the file lists")
    if category not in categories:
        raise BadInput(f"{name} is of category {category}, expected one of {', '.join(map(str, categories))}")
    box: Any = annotation.get("bbox")
    if not is_box(box):
        raise BadInput(f"{name} has bbox {box}, expected left, top, width and height in pixels")
    width, height = images[image].get("width", math.inf), images[image].get("height", math.inf)
    if box[0] > width or box[1] > height or box[0] + box[2] < 0 or box[1] + box[3] < 0:
        raise BadInput(f"{name} has bbox {box}, expected a box in the {width}×{height} pixels of image {image}")
    return int(image)


def is_box(value: Any) -> bool:
    """Whether this is left, top, width and height; COCO has objects of no width or height."""
    if not isinstance(value, list) or len(value) != 4 or not all(isinstance(each, int | float) for each in value):
        return False
    return all(map(math.isfinite, value)) and min(value[2:]) >= 0


def converted(annotations: list[dict[str, Any]], categories: dict[int, str]) -> Objects:
    """As objects: left, top, width, height to half-open corners, category ids to labels."""
    labels = {id: label for label, id in enumerate(categories, 1)}
    boxes = [(x, y, x + width, y + height) for x, y, width, height in (each["bbox"] for each in annotations)]
    return objects_of(
        boxes,
        [labels[each["category_id"]] for each in annotations],
        crowd=[bool(each.get("iscrowd")) for each in annotations],
        area=[each.get("area", each["bbox"][2] * each["bbox"][3]) for each in annotations],
    )
