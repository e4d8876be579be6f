"""Pixels of image files beside the slow and obvious way, and the files that hold no image."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import RandomResizedCrop, functional

from resnet_lightning.data import crops, decode
from resnet_lightning.data.decode import DamagedImage

SIZE = 64  # of the crops: the paper's lengths become 73 (256) and 73 to 137 (480)
READERS: dict[str, Callable[[str], object]] = {
    "random_scale_crop": lambda path: crops.random_scale_crop(path, 1, SIZE),
    "random_resized_crop": lambda path: crops.random_resized_crop(path, 1, SIZE),
    "centre_crop": lambda path: crops.centre_crop(path, SIZE),
    "five_crops": lambda path: crops.five_crops(path, SIZE),
    "resized": lambda path: crops.resized(path, SIZE),
}
SHAPES = ((150, 100), (90, 201), (73, 73), (500, 375), (40, 30), (30, 7))  # width, height


@pytest.fixture(params=["simplejpeg", "Pillow"], autouse=True)
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "Pillow":
        monkeypatch.setattr(decode, "simplejpeg", None)
    elif decode.simplejpeg is None:
        pytest.skip("simplejpeg is not installed")
    assert decode.decoder().startswith(request.param)


def picture(width: int, height: int) -> Image.Image:
    """As smooth and as rough as photographs are: the spectrum falls with the frequency."""
    generator = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)) + 1 / (width + height)
    planes = [np.fft.irfft2(np.fft.rfft2(generator.normal(size=(height, width))) / frequency, (height, width))]
    planes += [planes[0] + 0.3 * np.roll(planes[0], 5 * shift, 1) for shift in (1, 2)]
    pixels = np.stack(planes, axis=2)
    return Image.fromarray(np.uint8(255 * (pixels - pixels.min()) / np.ptp(pixels)))


def save(folder: Path, width: int, height: int, name: str = "picture.jpeg") -> str:
    path = folder / name
    picture(width, height).save(path)
    return str(path)


def slowly(path: str, side: int) -> Tensor:
    """All of the image, resized by Pillow: [H, W, 3]."""
    with Image.open(path) as image:
        return to_tensor(functional.resize(image.convert("RGB"), side))


def to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image))


def difference(a: Tensor, b: Tensor) -> Tensor:
    assert a.dtype == b.dtype == torch.uint8 and a.shape == b.shape
    return (a.int() - b.int()).abs().float()


@pytest.mark.parametrize("shape", SHAPES)
def test_evaluation_views_are_those_of_torchvision(shape: tuple[int, int], tmp_path: Path) -> None:
    path = save(tmp_path, *shape)
    expected = slowly(path, 73)
    assert difference(crops.resized(path, 73), expected).max() <= 1
    chw = expected.permute(2, 0, 1)
    assert difference(crops.centre_crop(path, SIZE), functional.center_crop(chw, SIZE).permute(1, 2, 0)).max() <= 1
    five = torch.stack(functional.five_crop(chw, SIZE)).permute(0, 2, 3, 1)
    assert difference(crops.five_crops(path, SIZE), five).max() <= 1
    assert decode.image_size(path) == shape


@pytest.mark.parametrize("shape", SHAPES)
def test_scale_crops_are_crops_of_the_resized_image(shape: tuple[int, int], tmp_path: Path) -> None:
    path = save(tmp_path, *shape)
    for seed in range(12):
        draw = random.Random(seed)
        whole = slowly(path, draw.randint(73, 137))
        left, top = draw.randint(0, whole.shape[1] - SIZE), draw.randint(0, whole.shape[0] - SIZE)
        expected = whole[top : top + SIZE, left : left + SIZE]
        expected = expected.flip(1) if draw.random() < 0.5 else expected
        crop = crops.random_scale_crop(path, seed, SIZE)
        assert crop.is_contiguous()
        off = difference(crop, expected)
        # A crop may be off by 1/50 of a source pixel, whose neighbours differ by some 24 grey levels here.
        assert off.mean() < 0.4 and off.max() <= 4


def test_every_part_of_a_resized_image_is_found() -> None:
    pixels = to_tensor(picture(61, 47))
    for width, height in ((61, 47), (62, 48), (122, 94), (137, 106), (300, 231), (40, 31)):
        whole = crops.resize(pixels, width, height)
        for corner in ((0, 0), (width - 30, height - 30), (7, 0), (9, 1)):
            part = crops.resize_part(pixels, (width, height), corner, 30)
            off = difference(part, whole[corner[1] : corner[1] + 30, corner[0] : corner[0] + 30])
            assert off.mean() < 0.4 and off.max() <= 4


@pytest.mark.parametrize("shape", SHAPES)
def test_resized_crops_are_those_of_torchvision(shape: tuple[int, int], tmp_path: Path) -> None:
    path = save(tmp_path, *shape)
    with Image.open(path) as image:
        for seed in range(6):
            draw = random.Random(seed)
            left, top, width, height = crops.draw_rectangle(draw, *shape)
            expected = functional.resized_crop(image, top, left, height, width, [SIZE, SIZE])
            expected = functional.hflip(expected) if draw.random() < 0.5 else expected
            crop = crops.random_resized_crop(path, seed, SIZE)
            assert crop.is_contiguous() and difference(crop, to_tensor(expected)).max() <= 1


@pytest.mark.parametrize("shape", [(150, 100), (500, 20)])  # in the second next to no rectangle fits
def test_rectangles_are_drawn_as_torchvision_draws_them(shape: tuple[int, int]) -> None:
    image = torch.empty(3, *shape[::-1], device="meta")
    theirs = [RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(2000)]
    ours = [crops.draw_rectangle(random.Random(seed), *shape) for seed in range(2000)]
    expected = torch.tensor(theirs, dtype=torch.float64)[:, [1, 0, 3, 2]]
    drawn = torch.tensor(ours, dtype=torch.float64)
    noise = (expected.var(0) + drawn.var(0)).div(2000).sqrt()
    assert ((drawn.mean(0) - expected.mean(0)).abs() <= 4 * noise + 1e-9).all()
    assert torch.allclose(drawn.std(0), expected.std(0), rtol=0.1)


def test_the_seed_decides_and_all_scales_occur(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, 60, 40)
    for read in (crops.random_scale_crop, crops.random_resized_crop):
        assert torch.equal(read(path, 3, 32), read(path, 3, 32))
        assert len({read(path, seed, 32).numpy().tobytes() for seed in range(20)}) == 20
    drawn: list[tuple[int, tuple[int, int]]] = []

    def record(pixels: Tensor, full: tuple[int, int], corner: tuple[int, int], size: int) -> Tensor:
        drawn.append((min(full), corner))
        return torch.zeros(size, size, 3)

    monkeypatch.setattr(crops, "resize_part", record)
    for seed in range(3000):
        crops.random_scale_crop(path, seed, 224)
    sides = [side for side, _ in drawn]
    assert len(set(sides)) == 225 and min(sides) == 256 and max(sides) == 480
    assert np.mean(sides) == pytest.approx(368, abs=5)
    assert min(top for _, (_, top) in drawn) == 0 and max(top for _, (_, top) in drawn) > 240


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "LA", "transparent P"])
def test_every_mode_becomes_the_same_colours_as_in_pillow(mode: str, tmp_path: Path) -> None:
    path = str(tmp_path / ("file.jpeg" if mode in ("L", "CMYK") else "file.png"))
    image = picture(90, 80)
    if mode.endswith("P"):
        image.quantize(50).save(path, **({"transparency": bytes(range(50))} if mode != "P" else {}))
    else:
        image.convert(mode).save(path)
    with Image.open(path) as stored:
        expected = to_tensor(stored.convert("RGBA").convert("RGB") if mode.endswith("P") else stored.convert("RGB"))
    assert torch.equal(decode.decode(path), expected)
    assert all(torch.as_tensor(read(path)).shape[-1] == 3 for read in READERS.values())


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_named(name: str, tmp_path: Path) -> None:
    whole = Path(save(tmp_path, 500, 375)).read_bytes()
    contents = {"cut.jpeg": whole[: len(whole) // 2], "nearly.jpeg": whole[:-50], "text.jpeg": b"no image", "none": b""}
    contents["cut.png"] = Path(save(tmp_path, 90, 80, "whole.png")).read_bytes()[:-3000]
    for file, content in contents.items():
        (tmp_path / file).write_bytes(content)
    for file in (*contents, "missing.jpeg", "."):
        path = str(tmp_path / file)
        with pytest.raises(DamagedImage, match=r" is damaged: \w") as caught:
            READERS[name](path)
        assert str(caught.value).startswith(f"{path} is damaged: ") and "\n" not in str(caught.value)
    for file in ("text.jpeg", "none", "missing.jpeg"):
        with pytest.raises(DamagedImage, match=file):
            decode.image_size(str(tmp_path / file))
