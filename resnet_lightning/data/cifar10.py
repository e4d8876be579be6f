"""CIFAR-10 from the official archive or from class folders, whichever the folder holds (section 4.2)."""

import hashlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError

import torch
import torchvision.datasets
from torch import Tensor
from torch.nn import functional as F
from torchvision.datasets.utils import check_integrity

from resnet_lightning.data.augment import PaddingMode
from resnet_lightning.data.batches import Normalization, PaddingOrder
from resnet_lightning.data.class_folders import Listing, list_class_folders, report_left_out, user_path
from resnet_lightning.data.datamodule import InMemoryDataModule
from resnet_lightning.data.decode import DamagedImage, decode
from resnet_lightning.errors import BadInput
from resnet_lightning.files import write_atomically

DEFAULT_ROOT = "data/cifar10"
CACHE = "decoded-uint8.pt"
Official = torchvision.datasets.CIFAR10


class CIFAR10(InMemoryDataModule):
    """CIFAR-10: 50,000 training and 10,000 test images of 32×32 pixels in ten classes.

    Args:
        root: a folder that holds the official cifar-10-python.tar.gz (or what it unpacks to), or class folders
            train/<class>/* and test/<class>/* of images that Pillow reads; ~ is the home folder. Class folders are
            decoded once, into a file beside them, without an EXIF rotation, as torchvision does.
        download: fetch the official archive (170 MB) when the folder holds neither.
        batch_size, validation_images, normalization, pad, padding, image_size, seed, padding_mode,
            drop_last: see InMemoryDataModule; an image_size of 16 averages 2×2 pixels.
    """

    def __init__(
        self,
        root: str = DEFAULT_ROOT,
        download: bool = True,
        batch_size: int = 128,
        validation_images: int = 0,
        normalization: Normalization = "pixel_mean",
        pad: PaddingOrder = "after_normalization",
        padding: int = 4,
        image_size: int = 32,
        seed: int = 0,
        padding_mode: PaddingMode = "zeros",
        drop_last: bool = True,
    ) -> None:
        given = (batch_size, validation_images, normalization, pad, padding, image_size, seed, padding_mode, drop_last)
        super().__init__(*given)
        if not 8 <= image_size <= 32 or 32 % image_size:
            raise BadInput(f"image_size {image_size}: expected 32, 16 or 8")
        self.root = user_path(root)
        self.download = download
        self.source = "CIFAR-10"

    @property
    def title(self) -> str:
        counts = [self.size("train") + self.size("val"), self.size("test")]
        part = "" if counts == [50_000, 10_000] else f", only {counts[0]:,} + {counts[1]:,} images"
        size = "" if self.image_size == 32 else f" at {self.image_size}×{self.image_size}"
        return self.source + size + part

    def prepare_data(self) -> None:
        """Makes everything ready that setup reads: downloads, unpacks, or decodes and caches.

        Raises:
            BadInput: if the data is missing, incomplete or damaged.
        """
        if str(self.root) == DEFAULT_ROOT:
            self.root.mkdir(parents=True, exist_ok=True)
        if not self.root.is_dir():
            wrong = "is not a folder" if self.root.exists() else "does not exist"
            raise BadInput(
                f"data folder {self.root} {wrong}: name the folder that holds cifar-10-python.tar.gz or train/<class>/ "
                "and test/<class>/, or create it to have CIFAR-10 downloaded into it"
            )
        if self._has_class_folders():
            self._decode_folders()
        else:
            self._unpack_archive()

    def load(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self._has_class_folders():
            train, train_labels, test, test_labels = self._decode_folders()
        else:
            sets = [Official(str(self.root), train=train) for train in (True, False)]
            self.classes = tuple(sets[0].classes)
            train, test = (torch.from_numpy(part.data) for part in sets)
            train_labels, test_labels = (torch.tensor(part.targets) for part in sets)
        return self._resize(train), train_labels, self._resize(test), test_labels

    def _resize(self, images: Tensor) -> Tensor:
        if self.image_size == 32:
            return images
        parts = (part.permute(0, 3, 1, 2).float() for part in images.split(1000))
        small = [F.avg_pool2d(part, 32 // self.image_size).round().to(torch.uint8) for part in parts]
        return torch.cat(small).permute(0, 2, 3, 1).contiguous()

    def _unpack_archive(self) -> None:
        archive = self.root / Official.filename
        unpacked = self.root / Official.base_folder
        parts = [*Official.train_list, *Official.test_list, [Official.meta["filename"], Official.meta["md5"]]]
        if unpacked.is_dir() and not archive.exists():
            for name, md5 in parts:
                if not check_integrity(str(unpacked / name), md5):
                    raise BadInput(f"{unpacked / name} is missing or damaged: unpack {Official.filename} again")
        elif archive.exists() and not check_integrity(str(archive), Official.tgz_md5):
            raise BadInput(
                f"{archive} is damaged ({archive.stat().st_size:,} bytes; the official archive has 170,498,071 and "
                f"md5 {Official.tgz_md5}): put a whole one in its place"
            )
        elif not archive.exists() and not self.download:
            raise BadInput(
                f"{self.root} holds neither {Official.filename} nor class folders train/<class>/ and test/<class>/, "
                "and download is off"
            )
        try:
            Official(str(self.root), download=True)
        except (URLError, OSError, RuntimeError) as error:
            if str(self.root) == DEFAULT_ROOT:
                with suppress(OSError):  # unless something is in it
                    self.root.rmdir()
            raise BadInput(
                f"CIFAR-10 could not be fetched from {Official.url} ({error}): put {Official.filename}, or class "
                f"folders train/<class>/ and test/<class>/, into {self.root}"
            ) from error

    def _has_class_folders(self) -> bool:
        return (self.root / "train").is_dir() or (self.root / "test").is_dir()

    def _decode_folders(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        train, test = (self._list(part) for part in ("train", "test"))
        if train.classes != test.classes:
            different = ", ".join(sorted(set(train.classes) ^ set(test.classes)))
            raise BadInput(f"{self.root}: train and test have different class folders ({different})")
        self.classes = train.classes
        listings = {"train": train, "test": test}
        paths = {name: [part.path(n) for n in range(len(part.paths))] for name, part in listings.items()}
        if any(map(is_jpeg, paths["train"])):
            self.source = "CIFAR-10 (JPEG)"
        cache = self.root / CACHE
        fingerprint = listing_fingerprint(self.root, paths["train"] + paths["test"])
        if cache.is_file():
            try:
                saved = torch.load(cache, weights_only=True)
                if saved["fingerprint"] == fingerprint:
                    return saved["train"], saved["train_labels"], saved["test"], saved["test_labels"]
            except Exception:  # torch.load has many ways to fail
                print(f"{cache} is not a whole cache: the images are decoded again", file=sys.stderr)
        parts = {name: decode_all(own) for name, own in paths.items()}
        parts |= {"train_labels": train.labels, "test_labels": test.labels}
        try:
            write_atomically(cache, lambda file: torch.save({"fingerprint": fingerprint, **parts}, file))
        except OSError as error:
            print(f"{cache} could not be written ({error}): the images are decoded again next time", file=sys.stderr)
        return parts["train"], parts["train_labels"], parts["test"], parts["test_labels"]

    def _list(self, part: str) -> Listing:
        folder = self.root / part
        listing = list_class_folders(folder)
        if len(listing.classes) != 10:
            raise BadInput(
                f"{folder} has {len(listing.classes)} class folders ({', '.join(listing.classes[:12])}), expected the "
                "10 of CIFAR-10"
            )
        report_left_out(folder, listing.left_out)
        return listing


def is_jpeg(path: str) -> bool:
    return path.lower().endswith((".jpg", ".jpeg", ".jfif", ".jpe"))


def listing_fingerprint(root: Path, paths: Sequence[str]) -> str:
    """Changes when a file is added, removed or rewritten; not when the whole folder moves.

    Raises:
        BadInput: naming a file that is not there, such as a link to nothing.
    """
    # Other files than JPEGs may hold 16-bit grey, which was white in caches that were written without this mark.
    digest = hashlib.sha256(b"" if all(map(is_jpeg, paths)) else b"16-bit grey is scaled\n")
    for path in paths:
        try:
            status = os.stat(path)
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror}" + " (a link)" * os.path.islink(path)) from error
        digest.update(f"{os.path.relpath(path, root)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def decode_all(paths: Sequence[str]) -> Tensor:
    """The images as uint8 [N, 32, 32, 3].

    Raises:
        BadInput: naming the file that cannot be read or has another size.
    """
    images = torch.empty(len(paths), 32, 32, 3, dtype=torch.uint8)
    for number, path in enumerate(paths):
        try:
            images[number] = decode(path, (32, 32))
        except DamagedImage as error:
            raise BadInput(str(error)) from error
    return images
