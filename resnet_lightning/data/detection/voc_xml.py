"""One annotation of PASCAL VOC: the objects in an image."""

import math
from pathlib import Path
from xml.etree import ElementTree

from resnet_lightning.data.decode import DamagedImage, image_size
from resnet_lightning.data.detection.annotations import Objects, objects_of
from resnet_lightning.errors import BadInput

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
CORNERS = ("xmin", "ymin", "xmax", "ymax")
EDGE = 1  # pixels by which a box may reach out of its image, where somebody has counted from 0


def objects_in(path: Path, image: Path) -> Objects:
    """The objects of an annotation; boxes 1-based and inclusive there, half-open here. Parts of objects are not read.

    Args:
        path: of the XML file.
        image: that it is of.

    Raises:
        BadInput: naming the file and the object of which something is missing, or wrong.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist: expected the annotation of {image.name}") from None
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is damaged: {error}") from error
    if root.tag != "annotation":
        raise BadInput(f"{path} is a <{root.tag}>, expected an <annotation> with an <object> for each object")
    found = root.findall("object")
    names = [text(each, "name").strip().lower() for each in found]
    for number, name in enumerate(names, 1):
        if name not in CLASSES:
            raise BadInput(f"{path}: object {number} is of class '{name}', expected one of {', '.join(CLASSES)}")
    boxes = [
        box(each, f"{path}: object {number} ({name})")
        for number, (each, name) in enumerate(zip(found, names, strict=True), 1)
    ]
    check_inside(path, image, root, boxes)
    difficult = [text(each, "difficult").strip() == "1" for each in found]
    return objects_of(boxes, [CLASSES.index(name) + 1 for name in names], difficult)


def box(element: ElementTree.Element, whose: str) -> list[float]:
    """xmin − 1, ymin − 1, xmax, ymax."""
    if element.find("bndbox") is None:
        raise BadInput(f"{whose} has no <bndbox>: expected one with {', '.join(CORNERS)}")
    corners = []
    for name in CORNERS:
        word = text(element, f"bndbox/{name}").strip()
        try:  # some of VOC 2012's are no whole numbers
            corners.append(float(word))
        except ValueError:
            raise BadInput(f"{whose} has {name} '{word}', expected a number of pixels") from None
        if not math.isfinite(corners[-1]):
            raise BadInput(f"{whose} has {name} '{word}', expected a number of pixels")
    for low, high in ((0, 2), (1, 3)):
        if corners[high] <= corners[low]:
            raise BadInput(
                f"{whose} has {CORNERS[low]} {corners[low]:g} and {CORNERS[high]} {corners[high]:g}, expected "
                f"{CORNERS[high]} to be more"
            )
    return [corners[0] - 1, corners[1] - 1, *corners[2:]]


def check_inside(path: Path, image: Path, root: ElementTree.Element, boxes: list[list[float]]) -> None:
    """Refuses boxes that reach out of the image, by its file where the annotation's <size> would refuse them.

    Raises:
        BadInput: as said.
    """
    words = text(root, "size/width").strip(), text(root, "size/height").strip()
    size = tuple(int(word) if word.isdecimal() else 0 for word in words)
    if not any(outside_by(box, size) > EDGE for box in boxes):
        return
    try:
        size = image_size(str(image))  # some <size> are 0, or width and height the wrong way round
    except DamagedImage as error:
        raise BadInput(f"{error}: put a whole one in its place") from error
    for number, each in enumerate(boxes, 1):
        if outside_by(each, size) > EDGE:
            corners = [f"{value:g}" for value in (each[0] + 1, each[1] + 1, *each[2:])]
            raise BadInput(
                f"{path}: object {number} lies at {', '.join(corners)} ({', '.join(CORNERS)}), expected a box inside "
                f"of {image.name} with its {size[0]}×{size[1]} pixels"
            )


def outside_by(box: list[float], size: tuple[int, ...]) -> float:
    """How many pixels a box reaches out of an image of this width and height; 0 or less if it does not."""
    return max(-box[0], -box[1], box[2] - size[0], box[3] - size[1])


def text(element: ElementTree.Element, name: str) -> str:
    """What stands in an element's own element; nothing if there is none."""
    return element.findtext(name) or ""
