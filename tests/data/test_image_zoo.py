"""Every kind of image file that Pillow can write, and some that it cannot, through both readers: pixels or one line."""

import random
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, features

from resnet_lightning.data import crops, decode
from resnet_lightning.data.cifar10 import decode_all
from resnet_lightning.data.decode import DamagedImage
from resnet_lightning.errors import BadInput

Array = np.ndarray[Any, np.dtype[Any]]
ROWS, COLUMNS = np.mgrid[:32, :32]
RGB: Array = np.stack((8 * ROWS, 8 * COLUMNS, 255 - 4 * (ROWS + COLUMNS)), axis=2).astype(np.uint8)
PICTURE = Image.fromarray(RGB)
DEEP: Array = (ROWS * 2050 + COLUMNS * 60).astype(np.uint16)  # grey of 16 bits, up to 65,410
DEEP[0, 0], DEEP[31, 31] = 0, 65535
HAS = {"avif": features.check("avif"), "jp2": features.check("jpg_2000"), "webp": features.check("webp")}


@pytest.fixture(params=["simplejpeg", "Pillow"], autouse=True)
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "Pillow":
        monkeypatch.setattr(decode, "simplejpeg", None)
    elif decode.simplejpeg is None:
        pytest.skip("simplejpeg is not installed")


def tiff(values: Array, bits: int = 0, photometric: int = 1) -> bytes:
    """Grey of any kind as a TIFF of one strip; the photometric 0 says that white is 0."""
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    data = values.tobytes()
    if bits == 12:
        pairs = values.reshape(-1, 2).astype(int)
        packed = np.stack((pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255), axis=1)
        data = packed.astype(np.uint8).tobytes()
    height, width = values.shape
    numbers = {256: width, 257: height, 258: bits or 8 * values.itemsize, 259: 1, 262: photometric, 273: 8, 277: 1}
    numbers |= {278: height, 279: len(data), 339: kind}
    entries = b"".join(struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, n) for tag, n in numbers.items())
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + struct.pack("<H", len(numbers)) + entries + bytes(4)


def png_of_16_bits(values: Array, side: int = 32) -> bytes:
    """Colours of 16 bits, which Pillow cannot write, as a PNG that claims a side of so many pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def saved(name: str, image: Image.Image = PICTURE, **options: Any) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        image.save(folder / name, **options)
        return folder / name

    return save


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def linked(folder: Path) -> Path:
    (folder / "a.png").symlink_to("gone.png")
    return folder / "a.png"


def a_folder(folder: Path) -> Path:
    (folder / "x.png").mkdir()
    return folder / "x.png"


def both(path: Path) -> list[Array]:
    """What CIFAR-10's reader gives, and ImageNet's, of an image of 32×32."""
    return [decode_all([str(path)])[0].numpy(), crops.resized(str(path), 32).numpy()]


def refusals(path: Path) -> list[str]:
    """What both readers say of a file."""
    with pytest.raises(BadInput) as of_cifar:
        decode_all([str(path)])
    with pytest.raises(DamagedImage) as of_imagenet:
        crops.centre_crop(str(path), 32)
    lines = [str(of_cifar.value), str(of_imagenet.value)]
    assert all(line.startswith(f"{path} ") and "\n" not in line for line in lines), lines
    return lines


# Eight bits a channel: as Pillow converts them -----------------------------------------------------------------------

PALETTE = PICTURE.quantize(50)
GREY, ALPHA = PICTURE.convert("L"), Image.fromarray(np.uint8(8 * ROWS))
RGBA = Image.merge("RGBA", (*PICTURE.split(), ALPHA))
LOSSLESS = {
    "png": saved("a.png"),
    "png, 16-bit colours": written("a.png", png_of_16_bits(RGB.astype(np.uint16) * 256 + 77)),
    "bmp": saved("a.bmp"),
    "dib": saved("a.dib"),
    "tiff": saved("a.tif"),
    "tiff, packed": saved("a.tiff", compression="tiff_lzw"),
    "tiff, RGBX": saved("a.tiff", PICTURE.convert("RGBX")),
    "ppm": saved("a.ppm"),
    "tga": saved("a.tga"),
    "pcx": saved("a.pcx"),
    "sgi": saved("a.sgi"),
    "ico": saved("a.ico", sizes=[(32, 32)]),
    "webp": saved("a.webp", lossless=True),
    "jp2": saved("a.jp2", irreversible=False),
    "png, RGBA": saved("a.png", RGBA),
    "tiff, RGBA": saved("a.tiff", RGBA),
    "png called jpeg": saved("a.jpeg", format="PNG"),
    "animated png": saved("a.png", save_all=True, append_images=[Image.new("RGB", (32, 32))]),
    "several tiffs": saved("a.tiff", save_all=True, append_images=[Image.new("RGB", (40, 30))]),
}
OTHERS = {
    "png, 1": saved("a.png", PICTURE.convert("1")),
    "tiff, 1": saved("a.tiff", PICTURE.convert("1")),
    "pbm": saved("a.pbm", PICTURE.convert("1")),
    "png, L": saved("a.png", GREY),
    "png, L, transparent": saved("a.png", GREY, transparency=7),
    "pgm": saved("a.pgm", GREY),
    "png, LA": saved("a.png", Image.merge("LA", (GREY, ALPHA))),
    "tiff, LA": saved("a.tiff", Image.merge("LA", (GREY, ALPHA))),
    "png, P": saved("a.png", PALETTE),
    "png, P, one transparent": saved("a.png", PALETTE, transparency=3),
    "png, P, transparent": saved("a.png", PALETTE, transparency=bytes(range(50))),
    "png, P of 2 bits": saved("a.png", PICTURE.quantize(4), bits=2),
    "gif": saved("a.gif", PALETTE),
    "gif, L": saved("a.gif", GREY),
    "gif, animated": saved("a.gif", PALETTE, save_all=True, append_images=[PICTURE.rotate(90).quantize(50)]),
    "tiff, CMYK": saved("a.tiff", PICTURE.convert("CMYK")),
    "tiff, YCbCr": saved("a.tiff", PICTURE.convert("YCbCr")),
    "tiff, LAB": saved("a.tiff", PICTURE.convert("LAB")),
    "jpeg": saved("a.jpg"),
    "jfif": saved("a.jfif", format="JPEG"),
    "jpeg, all colours": saved("a.jpeg", subsampling=0, quality=100),
    "jpeg, progressive": saved("a.jpeg", progressive=True),
    "jpeg, grey": saved("a.jpeg", GREY),
    "jpeg, CMYK": saved("a.jpeg", PICTURE.convert("CMYK")),
    "jpeg, RGB": saved("a.jpeg", keep_rgb=True),
    "jpeg called png": saved("a.png", format="JPEG"),
    "mpo": saved("a.mpo", save_all=True, append_images=[Image.new("RGB", (32, 32))]),
    "webp, lossy": saved("a.webp"),
    "webp, RGBA": saved("a.webp", RGBA),
    "avif": saved("a.avif"),
    "avif, RGBA": saved("a.avif", RGBA),
    "jp2, LA": saved("a.jp2", Image.merge("LA", (GREY, ALPHA))),
}


def missing(name: str) -> bool:
    return not HAS.get(name.partition(",")[0], True)


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_files_give_the_pixels_that_were_saved(name: str, tmp_path: Path) -> None:
    if missing(name):
        pytest.skip(f"this Pillow has no {name}")
    path = LOSSLESS[name](tmp_path)
    for pixels in both(path):
        assert np.array_equal(pixels, RGB)


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_give_the_colours_of_pillow(name: str, tmp_path: Path) -> None:
    if missing(name):
        pytest.skip(f"this Pillow has no {name}")
    path = OTHERS[name](tmp_path)
    with Image.open(path) as image:
        opaque = image.convert("RGBA") if image.mode == "P" else image
        expected = np.asarray(opaque.convert("RGB"))
    shown = PICTURE.convert("1") if image.mode == "1" else GREY if (expected == expected[..., :1]).all() else PICTURE
    near = np.asarray(shown.convert("RGB")).astype(int)
    for pixels in both(path):
        assert np.array_equal(pixels, expected)
        assert np.abs(pixels - near).mean() < (12 if "2 bits" not in name else 60)


@pytest.mark.parametrize("mode", ["La", "PA", "RGBa", "HSV", "RGBX", "LAB", "YCbCr"])
def test_modes_that_files_rarely_have(mode: str) -> None:
    solid = Image.merge("LA", (GREY, Image.new("L", (32, 32), 255)))
    whole = {"La": solid, "PA": PALETTE, "RGBa": PICTURE.convert("RGBA")}
    image = whole.get(mode, PICTURE).convert(mode)
    pixels = np.asarray(decode.to_rgb("x", image))
    expected = np.asarray(GREY)[..., None] if mode == "La" else RGB
    assert image.mode == mode and pixels.shape == (32, 32, 3)
    assert np.abs(pixels.astype(int) - expected).mean() < 12


def test_a_rotation_in_exif_is_not_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    plain, turned = saved("plain.jpeg")(tmp_path), saved("turned.jpeg", exif=exif)(tmp_path)
    for one, other in zip(both(plain), both(turned), strict=True):
        assert np.array_equal(one, other)


# More than eight bits of grey ----------------------------------------------------------------------------------------

FLOATS = (DEEP / 65535).astype(np.float32)
DEPTHS = {
    "png, I;16": saved("a.png", Image.fromarray(DEEP)),
    "tiff, I;16": saved("a.tiff", Image.fromarray(DEEP)),
    "tiff, I;16B": saved("a.tiff", Image.frombytes("I;16B", (32, 32), DEEP.astype(">u2").tobytes())),
    "tiff, white is 0": written("a.tif", tiff(65535 - DEEP, photometric=0)),
    "pgm, I": saved("a.pgm", Image.fromarray(DEEP.astype(np.int32))),
    "jp2, I;16": saved("a.jp2", Image.fromarray(DEEP), irreversible=False),
    "tiff, F": saved("a.tiff", Image.fromarray(FLOATS)),
    "pfm": saved("a.pfm", Image.fromarray(FLOATS)),
    "tiff, F, white is 0": written("a.tif", tiff(1 - FLOATS, photometric=0)),
}


@pytest.mark.parametrize("name", DEPTHS)
def test_deep_grey_is_scaled_and_rounded(name: str, tmp_path: Path) -> None:
    if missing(name):
        pytest.skip(f"this Pillow has no {name}")
    expected = np.rint(DEEP / 257)
    for pixels in both(DEPTHS[name](tmp_path)):
        assert pixels.dtype == np.uint8
        assert all(np.array_equal(pixels[..., channel], expected) for channel in range(3))


def test_twelve_bits_and_other_scales(tmp_path: Path) -> None:
    twelve = (DEEP // 16).astype(np.uint16)
    for pixels in both(written("a.tif", tiff(twelve, bits=12))(tmp_path)):
        assert np.array_equal(pixels[..., 0], np.rint(twelve / 4095 * 255))
    ten = "P2\n32 32\n1023\n" + " ".join(str(value // 64) for value in DEEP.flat)
    for pixels in both(written("a.pgm", ten.encode())(tmp_path)):
        assert np.abs(pixels[..., 0] - DEEP // 64 * (255 / 1023)).max() <= 0.51


UNKNOWN = {
    "32 bits": (tiff(DEEP.astype(np.uint32)), "32 bits or with a sign"),
    "signed": (tiff(DEEP.astype(np.int16)), "32 bits or with a sign"),
    "floats to 255": (tiff(255 * FLOATS), "holds floats from 0 to 255, expected 0 (black) to 1 (white)"),
    "negative floats": (tiff(FLOATS - 1), "holds floats from -1 to 0"),
    "no numbers": (tiff(FLOATS * np.float32("nan")), "holds floats from nan to nan"),
    "64-bit floats": (tiff(FLOATS.astype(np.float64)), "not an image of a kind"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_grey_of_an_unknown_range_is_refused(name: str, tmp_path: Path) -> None:
    content, named = UNKNOWN[name]
    assert all(named in line for line in refusals(written("a.tiff", content)(tmp_path)))


# Defects -------------------------------------------------------------------------------------------------------------


def huge_jpeg() -> bytes:
    """A few bytes that claim 65,500×65,500 pixels, 12 GB."""
    buffer = BytesIO()
    PICTURE.save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    start = content.index(b"\xff\xc0") + 5
    content[start : start + 4] = struct.pack(">HH", 65500, 65500)
    return bytes(content)


DEFECTS = {
    "empty": (written("a.png", b""), "the file is empty"),
    "zeros": (written("a.jpeg", bytes(4000)), "not an image of a kind that Pillow"),
    "text": (written("a.png", b"an image\n"), "not an image of a kind that Pillow"),
    "a web page": (written("a.jpg", b"<!DOCTYPE html><html>404</html>"), "not an image of a kind that Pillow"),
    "a folder": (a_folder, "Is a directory"),
    "a link to nothing": (linked, "a link to gone.png, which does not exist"),
    "missing": (lambda folder: folder / "missing.png", "No such file"),
    "a bomb (PNG)": (written("a.png", png_of_16_bits(RGB, 60000)), "pixels"),
    "a bomb (JPEG)": (written("a.jpeg", huge_jpeg()), "pixels"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_defects_are_named(name: str, tmp_path: Path) -> None:
    make, named = DEFECTS[name]
    lines = refusals(make(tmp_path))
    assert all(named in line for line in lines), lines


def test_cifar_takes_no_other_size_and_decodes_none(tmp_path: Path) -> None:
    path = written("a.png", png_of_16_bits(RGB, 13000))(tmp_path)  # it would become half a gigabyte
    with pytest.raises(BadInput, match=r"a\.png has 13000×13000 pixels, expected 32×32"):
        decode_all([str(path)])


CONTAINERS = ("png", "jpeg", "gif", "tiff", "webp", "bmp", "ppm", "avif", "jp2", "tga")


@pytest.mark.parametrize("ending", CONTAINERS)
def test_files_cut_off_anywhere_are_damaged(ending: str, tmp_path: Path) -> None:
    if missing(ending):
        pytest.skip(f"this Pillow has no {ending}")
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    path = saved(f"a.{ending}", noise)(tmp_path)
    whole = path.read_bytes()
    for part in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9):
        path.write_bytes(whole[: int(part * len(whole))])
        refusals(path)


@pytest.mark.parametrize("ending", CONTAINERS)
def test_changed_bytes_are_read_or_named(ending: str, tmp_path: Path) -> None:
    if missing(ending):
        pytest.skip(f"this Pillow has no {ending}")
    path = saved(f"a.{ending}")(tmp_path)
    whole, draw = path.read_bytes(), random.Random(0)
    for _ in range(20):
        content = bytearray(whole)
        for _ in range(3):
            content[draw.randrange(min(len(whole), 400))] = draw.randrange(256)
        path.write_bytes(content)
        try:
            assert decode.decode(str(path)).dtype == torch.uint8
        except DamagedImage as error:
            assert str(error).startswith(f"{path} ")
