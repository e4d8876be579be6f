"""One image file to pixels, uint8 [H, W, 3], whatever its container, its colours and its depth.

Eight bits a channel become the colours that Pillow's `convert("RGB")` gives. Like torchvision, this leaves everything
else in the file alone: transparency is dropped, a colour profile or an EXIF rotation is not applied, and of several
pictures the first is read. JPEGs are always decoded at full resolution: at half of it large ones take a fifth less
time, but their pixels differ.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

try:  # the same pixels as Pillow's, in two thirds of the time
    import simplejpeg  # type: ignore[import-not-found,import-untyped,unused-ignore]
except ImportError:
    simplejpeg = None

MOST_PIXELS = 178_956_970  # where Pillow suspects a file that is small and fills the memory
# What Pillow knows by name but cannot decode by itself, and films.
NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
# Pillow has no way from these to RGB. It warns if a palette's transparency is lost on the way.
FIRST_TO = {"P": "RGBA", "La": "LA", "RGBa": "RGBA"}
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # of TIFF


class DamagedImage(Exception):
    """A file that gives no image to use.

    Args:
        path: of the file.
        what: what it is, has or holds that is wrong.
    """

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path} {what}")


@cache
def endings() -> frozenset[str]:
    """How the names of image files end that can be decoded here, in small letters, with the dot."""
    Image.init()
    known = Image.registered_extensions().items()
    return frozenset(ending for ending, name in known if name in Image.OPEN and name not in NO_PICTURES)


def decoder() -> str:
    """The library that decodes JPEGs here; all others are decoded by Pillow."""
    return f"Pillow {PIL.__version__}" if simplejpeg is None else f"simplejpeg {simplejpeg.__version__}"


def decode(path: str, size: tuple[int, int] | None = None) -> Tensor:
    """All pixels of an image file.

    Grey of more than eight bits is scaled, and rounded: 16 bits by 1/257, 12 bits by 255/4095. Grey of floats is read
    from 0 (black) to 1 (white). Of 16-bit colours, Pillow keeps the upper eight bits.

    Args:
        path: of the file.
        size: the only width and height that will do; None for any.

    Returns:
        uint8 [H, W, 3].

    Raises:
        DamagedImage: if the file is missing, cut short, no image, of another size, or its numbers have no known black
            and white.
    """
    with blaming(path):
        data = Path(path).read_bytes()
        if simplejpeg is not None:
            with suppress(ValueError):  # no JPEG, or a blemish: Pillow tells blemishes from damage
                height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
                check_size(path, (width, height), size)
                if colours in ("YCbCr", "Gray", "RGB"):  # it makes another RGB of CMYK
                    return torch.from_numpy(simplejpeg.decode_jpeg(data, "RGB"))
        with Image.open(BytesIO(data)) as image:
            check_size(path, image.size, size)
            picture = to_rgb(path, image)
            # Through a bytearray, as PyTorch warns of memory that cannot be written to.
            return torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(*picture.size[::-1], 3)


def image_size(path: str) -> tuple[int, int]:
    """Width and height, from the file's header alone: a file cut short after it is not noticed.

    Raises:
        DamagedImage: if the file is missing, or no image.
    """
    with blaming(path), Image.open(path) as image:
        return image.size


@contextmanager
def blaming(path: str) -> Iterator[None]:
    """Turns whatever reading a damaged file raises into DamagedImage, and keeps Pillow's warnings of it quiet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (DamagedImage, MemoryError):
        raise
    except FileNotFoundError as error:
        if os.path.islink(path):
            raise DamagedImage(path, f"is damaged: a link to {os.readlink(path)}, which does not exist") from error
        raise DamagedImage(path, f"is damaged: {error.strerror}") from error
    except UnidentifiedImageError as error:
        empty = os.path.getsize(path) == 0
        reason = "the file is empty" if empty else f"not an image of a kind that Pillow {PIL.__version__} reads"
        raise DamagedImage(path, f"is damaged: {reason}") from error
    except Exception as error:  # Pillow's readers raise some ten kinds, struct.error and EOFError among them
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DamagedImage(path, f"is damaged: {reason}") from error


def check_size(path: str, found: tuple[int, int], expected: tuple[int, int] | None) -> None:
    """Refuses another size than the expected one, or one that would fill the memory, before anything is decoded."""
    pixels = f"{found[0]}×{found[1]} pixels"
    if expected is not None and found != expected:
        raise DamagedImage(path, f"has {pixels}, expected {expected[0]}×{expected[1]}")
    if found[0] * found[1] > MOST_PIXELS:
        raise DamagedImage(path, f"has {pixels}, more than {MOST_PIXELS:,}: none of such a size is decoded")


def to_rgb(path: str, image: Image.Image) -> Image.Image:
    """An opened image in mode RGB."""
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(grey_levels(path, image))
    picture = image.convert(FIRST_TO[image.mode]) if image.mode in FIRST_TO else image
    return picture if picture.mode == "RGB" else picture.convert("RGB")  # to the same mode it would copy


def grey_levels(path: str, image: Image.Image) -> NDArray[np.uint8]:
    """Grey of more than eight bits to 0 (black) to 255 (white), [H, W]; Pillow would cut off whatever is above 255."""
    tags = getattr(image, "tag_v2", {})  # of TIFF
    values = np.asarray(image).astype(np.float64)
    if image.mode == "F":
        white = 1.0
    elif image.mode.startswith("I;16") or image.format in ("PNG", "PPM"):  # older Pillows open 16 bits as 32
        white = float(2 ** tags.get(BITS_PER_SAMPLE, (16,))[0] - 1)
    else:
        raise DamagedImage(path, "holds grey levels of 32 bits or with a sign, expected 8 or 16 bits without")
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= white):  # so too if some are no numbers
        reason = (
            f"holds floats from {low:g} to {high:g}, expected 0 (black) to 1 (white), or whole numbers of 8 or 16 bits"
        )
        raise DamagedImage(path, reason)
    levels: NDArray[np.uint8] = np.rint(values * 255 / white).astype(np.uint8)
    return 255 - levels if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else levels
