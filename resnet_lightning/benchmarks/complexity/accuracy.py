"""The accuracy of torchvision's weight files on ImageNet's validation images, as torchvision tests them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch.utils.data import DataLoader

from resnet_lightning.benchmarks.complexity.measuring import default_device
from resnet_lightning.benchmarks.complexity.networks import Subject
from resnet_lightning.benchmarks.complexity.store import Store
from resnet_lightning.data.class_folders import user_path
from resnet_lightning.errors import BadInput
from resnet_lightning.training.weights import named_as, refuse_other_shapes, weights_in

CLASSES, BATCH = 1000, 32


def weight_files(subjects: Sequence[Subject], weights: str, data: str) -> dict[Subject, Path]:
    """The files of these networks that are in a folder.

    Args:
        weights: the folder, with files named as torchvision's downloads.
        data: the folder with val/<wnid>/*, of all 1,000 classes.

    Raises:
        BadInput: if there is no such file, or not this data.
    """
    folder = user_path(data) / "val"
    classes = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    if len(classes) != CLASSES:
        raise BadInput(f"--data {data}: {folder} holds {len(classes):,} folders of classes: expected {CLASSES:,}")
    files = {subject: user_path(weights) / file_name(subject) for subject in subjects if subject.weights}
    found = {subject: path for subject, path in files.items() if path.is_file()}
    if not found:
        expected = ", ".join(path.name for path in files.values()) or "none: torchvision has no weights of them"
        raise BadInput(f"--weights {weights}: none of these networks' files is there (expected some of {expected})")
    return found


def measure_accuracies(store: Store, files: Mapping[Subject, Path], data: str) -> None:
    """Tests every network that has a file; each result is written as it is made."""
    folder = user_path(data) / "val"
    for subject, file in files.items():
        about = {"file": file.name, "data": str(folder.resolve())}
        before = store.networks[subject.name].get("measured", {})
        if {name: before.get(name) for name in about} != about:
            print(f"{subject.name}: {file.name} on {folder}", flush=True)
            store.networks[subject.name]["measured"] = about | top1(subject, file, folder)
            store.write()


def file_name(subject: Subject) -> str:
    """As torchvision's download is named."""
    return Path(torchvision.models.get_weight(subject.weights).url).name


def top1(subject: Subject, file: Path, folder: Path) -> dict[str, Any]:
    """The accuracy (percent) of the centre crop that these weights were published with, and of how many images."""
    device, network = default_device(), subject.build()
    # What networks without their auxiliary classifiers leave out is of no use in a test.
    held = weights_in(torch.load(file, map_location="cpu", weights_only=True))
    state = network.state_dict()
    kept = {name: value for name, value in named_as(held, state).items() if not name.startswith("aux") or name in state}
    refuse_other_shapes(kept, state, subject.name)
    network.load_state_dict(kept)
    transforms = torchvision.models.get_weight(subject.weights).transforms()
    images = torchvision.datasets.ImageFolder(str(folder), transforms, allow_empty=True)
    right = 0
    network = network.eval().to(device)
    with torch.inference_mode():
        for batch, labels in DataLoader(images, BATCH):
            right += int((network(batch.to(device)).argmax(1).cpu() == labels).sum())
    return {"accuracy": 100 * right / len(images), "images": len(images)}
