"""CIFAR-10 as class folders and as the official files, and what is said of damaged ones."""

import hashlib
import os
import pickle
import re
import shutil
import tarfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from conftest import CLASSES
from PIL import Image
from torch import Tensor

from resnet_lightning.data import CIFAR10
from resnet_lightning.data.cifar10 import CACHE
from resnet_lightning.errors import BadInput


def load(root: Path, **options: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    data = CIFAR10(str(root), download=False, **options)
    data.prepare_data()
    return data.load()


def decoded(root: Path, part: str) -> np.ndarray:
    files = [sorted((root / part / name).iterdir()) for name in CLASSES]
    return np.stack([np.asarray(Image.open(path)) for path in chain.from_iterable(files)])


def test_class_folders_are_read_as_they_are(class_folders: Path) -> None:
    train, train_labels, test, test_labels = load(class_folders)
    assert np.array_equal(train, decoded(class_folders, "train"))
    assert np.array_equal(test, decoded(class_folders, "test"))
    assert train_labels.tolist() == [number // 26 for number in range(260)]
    assert test_labels.tolist() == [number // 5 for number in range(50)]
    data = CIFAR10(str(class_folders), batch_size=26)
    data.setup("fit")
    kind = "CIFAR-10" if any(class_folders.rglob("*.png")) else "CIFAR-10 (JPEG)"
    assert data.title == f"{kind}, only 260 + 50 images"


def test_the_decoded_images_are_kept_until_a_file_changes(png_folders: Path) -> None:
    path = png_folders / "train" / "airplane" / "0000.png"

    def grey(level: int) -> None:
        Image.fromarray(np.full((32, 32, 3), level, np.uint8)).save(path, compress_level=0)  # always as large

    grey(1)
    before = load(png_folders)[0]
    status = path.stat()
    grey(2)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # now nothing tells it from the file that was decoded
    assert torch.equal(load(png_folders)[0], before)
    grey(3)
    assert path.stat().st_size == status.st_size
    after = load(png_folders)[0]
    assert (after[0] == 3).all() and torch.equal(after[1:], before[1:])
    path.unlink()
    assert len(load(png_folders)[0]) == 259


@pytest.mark.parametrize("damage", ["empty", "text", "cut short", "another's"])
def test_a_damaged_cache_is_made_again(png_folders: Path, damage: str) -> None:
    before = load(png_folders)
    cache = png_folders / CACHE
    whole = cache.read_bytes()
    if damage == "another's":
        torch.save([1, 2], cache)
    else:
        cache.write_bytes({"empty": b"", "text": b"no cache\n", "cut short": whole[: len(whole) // 2]}[damage])
    assert all(torch.equal(one, two) for one, two in zip(load(png_folders), before, strict=True))
    assert cache.stat().st_size == len(whole)


def test_a_cache_that_cannot_be_written_is_done_without(png_folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (png_folders / CACHE).mkdir()
    (png_folders / CACHE / "in the way").touch()
    assert np.array_equal(load(png_folders)[0], decoded(png_folders, "train"))
    assert f"{png_folders / CACHE} could not be written" in capsys.readouterr().err
    assert sorted(path.name for path in png_folders.iterdir()) == [CACHE, "test", "train"]  # nothing left behind


def test_half_the_size_averages_two_by_two_pixels(png_folders: Path) -> None:
    pixels = decoded(png_folders, "test").astype(float)
    small = load(png_folders, image_size=16)[2]
    assert small.shape == (50, 16, 16, 3)
    for row in range(16):
        for column in range(16):
            mean = pixels[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean((1, 2))
            assert np.array_equal(small[:, row, column], np.round(mean))


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, np.ndarray]:
    """A small official archive, unpacked and packed, and its 100 training images."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (120, 32, 32, 3), dtype=np.uint8)
    root = tmp_path / "official"
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    for number, name in enumerate(names):
        rows = images[20 * number : 20 * number + 20].transpose(0, 3, 1, 2).reshape(20, 3072)
        content = {"data": rows, "labels": [(number + place) % 10 for place in range(20)]}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CLASSES)}, protocol=2))
    archive = root / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, folder.name)

    def md5(path: Path) -> str:
        return hashlib.md5(path.read_bytes()).hexdigest()

    listing = [[name, md5(folder / name)] for name in names]
    there = torchvision.datasets.CIFAR10
    monkeypatch.setattr(there, "train_list", listing[:5])
    monkeypatch.setattr(there, "test_list", listing[5:])
    monkeypatch.setattr(there, "meta", {**there.meta, "md5": md5(folder / "batches.meta")})
    monkeypatch.setattr(there, "tgz_md5", md5(archive))
    monkeypatch.setattr(there, "url", "http://localhost:9/cifar-10-python.tar.gz")  # where nobody answers
    return root, images[:100]


@pytest.mark.parametrize("form", ["archive", "unpacked", "both", "archive beside a damaged batch"])
def test_the_official_files(official: tuple[Path, np.ndarray], form: str) -> None:
    root, images = official
    archive, folder = root / "cifar-10-python.tar.gz", root / "cifar-10-batches-py"
    if form == "archive":
        shutil.rmtree(folder)
    elif form == "unpacked":
        archive.unlink()
    elif form != "both":
        os.truncate(folder / "data_batch_3", 100)
    train, train_labels, test, test_labels = load(root)
    assert np.array_equal(train, images)
    assert train_labels.tolist() == [(place // 20 + place % 20) % 10 for place in range(100)]
    assert len(test) == len(test_labels) == 20 and train_labels.dtype == test_labels.dtype == torch.int64
    data = CIFAR10(str(root), batch_size=10)
    data.setup("fit")
    assert data.title == "CIFAR-10, only 100 + 20 images"


Damage = Callable[[Path], object]

OFFICIAL_FAULTS: dict[str, Damage] = {
    "official/cifar-10-python.tar.gz": lambda root: os.truncate(root / "cifar-10-python.tar.gz", 1000),
    "official/cifar-10-batches-py/data_batch_2": lambda root: (
        (root / "cifar-10-python.tar.gz").unlink(),
        os.truncate(root / "cifar-10-batches-py" / "data_batch_2", 1000),
    ),
    "official/cifar-10-batches-py/test_batch": lambda root: (
        (root / "cifar-10-python.tar.gz").unlink(),
        (root / "cifar-10-batches-py" / "test_batch").unlink(),
    ),
    "official/cifar-10-batches-py/batches.meta": lambda root: (
        (root / "cifar-10-python.tar.gz").unlink(),
        (root / "cifar-10-batches-py" / "batches.meta").unlink(),
    ),
    "official holds neither": lambda root: (
        (root / "cifar-10-python.tar.gz").unlink(),
        shutil.rmtree(root / "cifar-10-batches-py"),
    ),
}

FOLDER_FAULTS: dict[str, Damage] = {
    "cifar does not exist": shutil.rmtree,
    "cifar/test does not exist": lambda root: shutil.rmtree(root / "test"),
    "cifar/train does not exist": lambda root: shutil.rmtree(root / "train"),
    "train has 9 class folders": lambda root: shutil.rmtree(root / "train" / "truck"),
    "test has 11 class folders": lambda root: shutil.copytree(root / "test" / "truck", root / "test" / "tram"),
    "train/frog/0003.png is damaged": lambda root: os.truncate(root / "train" / "frog" / "0003.png", 300),
    "test/cat/0001.png is damaged": lambda root: os.truncate(root / "test" / "cat" / "0001.png", 0),
    "ship/0000.png has 40×30 pixels": lambda root: Image.new("RGB", (40, 30)).save(root / "test/ship/0000.png"),
    "bird": lambda root: [path.unlink() for path in (root / "train" / "bird").iterdir()],
}


@pytest.mark.parametrize("named", OFFICIAL_FAULTS)
def test_damaged_official_files_are_named(official: tuple[Path, np.ndarray], named: str) -> None:
    OFFICIAL_FAULTS[named](official[0])
    with pytest.raises(BadInput, match=re.escape(named)):
        load(official[0])


@pytest.mark.parametrize("named", FOLDER_FAULTS)
def test_damaged_class_folders_are_named(png_folders: Path, named: str) -> None:
    FOLDER_FAULTS[named](png_folders)
    with pytest.raises(BadInput, match=re.escape(named)):
        load(png_folders)


def test_train_and_test_have_the_same_classes(png_folders: Path) -> None:
    (png_folders / "test" / "truck").rename(png_folders / "test" / "aardvark")  # every test label would be off by one
    with pytest.raises(BadInput, match="aardvark"):
        load(png_folders)


def test_a_failed_download_says_where_the_data_goes(tmp_path: Path, official: tuple[Path, np.ndarray]) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=f"could not be fetched.*into {tmp_path / 'empty'}"):
        CIFAR10(str(tmp_path / "empty")).prepare_data()
    assert (tmp_path / "empty").is_dir()


def test_a_failed_download_leaves_no_empty_folder(
    tmp_path: Path, official: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="could not be fetched"):
        CIFAR10().prepare_data()
    assert not (tmp_path / "data/cifar10").exists()
