"""Crops and views of one image file, uint8 [H, W, 3]: section 3.4's training crops, and what its evaluations see.

PyTorch resizes, from bytes to bytes: its antialiased bilinear filter is Pillow's, to one grey level, and takes a third
of the time. A training crop resizes little but the source pixels that it shows. Colours, means and floats are left to
the device, which has whole batches of them.
"""

import random
from math import ceil, exp, log, sqrt

import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_lightning.data.decode import decode

PAPER_SIZE = 224  # pixels of the paper's crop: sides below are given for it, and scale with the crop
TRAIN_SIDES = (256, 480)  # of the shorter side, both ends included
EVALUATION_SIDE = 256
AREAS, RATIOS, ATTEMPTS = (0.08, 1.0), (3 / 4, 4 / 3), 10  # of torchvision's RandomResizedCrop
EDGE = 0.02  # source pixels by which edges may miss each other, see resize_part


def random_scale_crop(path: str, seed: int, size: int) -> Tensor:
    """Section 3.4: shorter side resized to a random length, then a random square of the image or its mirror image.

    Args:
        path: an image file.
        seed: decides the length, uniform in 256 to 480 · size / 224, the place, and the mirror.
        size: of the square, pixels.

    Returns:
        uint8 [size, size, 3], contiguous.

    Raises:
        DamagedImage: as decode.
    """
    draw = random.Random(seed)
    pixels = decode(path)
    width, height = resized_size(pixels, draw.randint(*(scaled(side, size) for side in TRAIN_SIDES)))
    left, top = draw.randint(0, width - size), draw.randint(0, height - size)
    crop = resize_part(pixels, (width, height), (left, top), size)
    return crop.flip(1) if draw.random() < 0.5 else crop


def random_resized_crop(path: str, seed: int, size: int) -> Tensor:
    """torchvision's RandomResizedCrop and a random flip: a rectangle of 8 to 100 % of the area, made a square.

    Args, returns and raises as random_scale_crop.
    """
    draw = random.Random(seed)
    pixels = decode(path)
    left, top, width, height = draw_rectangle(draw, pixels.shape[1], pixels.shape[0])
    crop = resize(pixels[top : top + height, left : left + width], size, size)
    return crop.flip(1) if draw.random() < 0.5 else crop


def centre_crop(path: str, size: int) -> Tensor:
    """The centre of the image whose shorter side is 256 · size / 224: uint8 [size, size, 3], contiguous.

    Raises:
        DamagedImage: as decode.
    """
    return five_places(resized(path, scaled(EVALUATION_SIDE, size)), size)[4].contiguous()


def five_crops(path: str, size: int) -> Tensor:
    """Corners top left, top right, bottom left and bottom right, and the centre, of the same image as centre_crop.

    Returns:
        uint8 [5, size, size, 3].

    Raises:
        DamagedImage: as decode.
    """
    return torch.stack(five_places(resized(path, scaled(EVALUATION_SIDE, size)), size))


def resized(path: str, side: int) -> Tensor:
    """The whole image, its shorter side `side` pixels long: uint8 [H, W, 3], contiguous.

    Raises:
        DamagedImage: as decode.
    """
    pixels = decode(path)
    return resize(pixels, *resized_size(pixels, side))


def resize(pixels: Tensor, width: int, height: int) -> Tensor:
    """[H, W, 3] to [height, width, 3], contiguous."""
    # In this order: from permute(2, 0, 1)[None] PyTorch does not see that channels are last, and takes half longer.
    images = pixels[None].permute(0, 3, 1, 2)
    return F.interpolate(images, (height, width), mode="bilinear", antialias=True)[0].permute(1, 2, 0)


def resize_part(pixels: Tensor, full: tuple[int, int], corner: tuple[int, int], size: int) -> Tensor:
    """The square at `corner` (left, top) of the image that would be `full` (width, height) if all of it were resized.

    PyTorch resizes from the edge of a source pixel to that of another, and the square's edges lie between two. So a
    little more is resized, up to edges that meet those of source pixels, some twenty away, and the excess is cut off.
    To resize all of the image would be exact, and makes the whole of random_scale_crop 1.15 times slower.
    """
    columns, width, left = source_range(pixels.shape[1], full[0], corner[0], size)
    rows, height, top = source_range(pixels.shape[0], full[1], corner[1], size)
    return resize(pixels[rows, columns], width, height)[top : top + size, left : left + size].contiguous()


def source_range(source: int, whole: int, first: int, size: int) -> tuple[slice, int, int]:
    """What to resize for the `size` pixels from `first` on, when `source` pixels would become `whole`.

    Returns:
        The source pixels, how many pixels they become, and how many of these come before `first`.
    """
    step = source / whole  # source pixels per pixel
    margin = ceil(max(1.0, 1 / step))  # pixels that the filter reaches

    def meets(place: int) -> bool:
        return abs(place * step - round(place * step)) <= EDGE

    start = next(filter(meets, range(first - margin, 0, -1)), 0)
    stop = next(filter(meets, range(first + size + margin, whole)), whole)
    return slice(round(start * step), round(stop * step)), stop - start, first - start


def draw_rectangle(draw: random.Random, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, width and height, as torchvision's RandomResizedCrop draws them."""
    for _ in range(ATTEMPTS):
        area = width * height * draw.uniform(*AREAS)
        ratio = exp(draw.uniform(log(RATIOS[0]), log(RATIOS[1])))
        wide, high = round(sqrt(area * ratio)), round(sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            return draw.randint(0, width - wide), draw.randint(0, height - high), wide, high
    wide, high = min(width, round(height * RATIOS[1])), min(height, round(width / RATIOS[0]))
    return (width - wide) // 2, (height - high) // 2, wide, high


def five_places(pixels: Tensor, size: int) -> list[Tensor]:
    """Four corners and the centre of [H, W, 3], in torchvision's order and with its rounding."""
    bottom, right = pixels.shape[0] - size, pixels.shape[1] - size
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (round(bottom / 2), round(right / 2))]
    return [pixels[top : top + size, left : left + size] for top, left in corners]


def scaled(side: int, size: int) -> int:
    """A side that the paper gives for crops of 224 pixels, for crops of `size`."""
    return round(side * size / PAPER_SIZE)


def resized_size(pixels: Tensor, side: int) -> tuple[int, int]:
    """Width and height once the shorter one is `side`; the longer one is rounded down, as torchvision does."""
    height, width, _ = pixels.shape
    return (side, side * height // width) if width <= height else (side * width // height, side)
