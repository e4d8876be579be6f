"""Which networks are compared: from AlexNet to ResNet and on, and any of the user's own beside them."""

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from resnet_lightning.errors import BadInput
from resnet_lightning.networks import inspection
from resnet_lightning.runs.command_line import PreparedRun, prepare
from resnet_lightning.runs.experiments import find_file

TORCHVISION, OURS = "torchvision.models.", "resnet_lightning.networks."
MISSING = "Inception-v4 is left out: it comes with timm, which is not installed (pip install timm)."
NOWHERE = "NiN is left out: neither torchvision nor timm has it for ImageNet."


@dataclass(frozen=True)
class Subject:
    """A network that is measured.

    Args:
        name: as tables say it.
        place: the dotted path of its builder, or an experiment's file.
        settings: what the builder is called with.
        weights: torchvision's name of the weights whose metadata (accuracy, parameters, operations) is of this very
            network; empty if there are none.
        size: height and width of an image, pixels.
        own: whether it is of the user's own, and may have changed.
    """

    name: str
    place: str
    settings: dict[str, Any] = field(default_factory=dict, hash=False)
    weights: str = ""
    size: int = 224
    own: bool = False

    def build(self) -> nn.Module:
        """The network, newly initialised.

        Raises:
            BadInput: if it cannot be made.
        """
        if self.place.endswith((".yaml", ".yml")):
            network: nn.Module = prepared(Path(self.place)).model.network
            return network
        module, _, attribute = self.place.rpartition(".")
        try:
            made = getattr(importlib.import_module(module), attribute)(**self.settings)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise BadInput(f"{self.place} cannot be made: {error}") from error
        if not isinstance(made, nn.Module):
            raise BadInput(f"{self.place} makes a {type(made).__name__}: expected a torch.nn.Module")
        return made


def torchvision(name: str, builder: str, weights: str, size: int = 224, **settings: Any) -> Subject:
    return Subject(name, TORCHVISION + builder, settings, f"{weights}_Weights.IMAGENET1K_V1", size)


def ours(name: str, depth: int, shortcut: str, weights: str = "", **settings: Any) -> Subject:
    weights = weights and f"{weights}_Weights.IMAGENET1K_V1"
    return Subject(name, OURS + "imagenet_resnet", {"depth": depth, "shortcut": shortcut, **settings}, weights)


def default_list() -> list[Subject]:
    """In the order of their years; random weights, since values change no time.

    GoogLeNet is without its auxiliary classifiers, as torchvision counts it; Inception-v3 is with its own.
    """
    blank = {"init_weights": False}  # their own initialisation takes seconds
    return [
        torchvision("AlexNet", "alexnet", "AlexNet"),
        torchvision("VGG-16", "vgg16", "VGG16", **blank),
        torchvision("VGG-16 BN", "vgg16_bn", "VGG16_BN", **blank),
        torchvision("VGG-19", "vgg19", "VGG19", **blank),
        torchvision("VGG-19 BN", "vgg19_bn", "VGG19_BN", **blank),
        torchvision("GoogLeNet", "googlenet", "GoogLeNet", aux_logits=False, **blank),
        torchvision("Inception-v3", "inception_v3", "Inception_V3", 299, **blank),
        ours("plain-34", 34, "none"),
        ours("ResNet-18", 18, "B", "ResNet18"),
        ours("ResNet-34", 34, "B", "ResNet34"),
        ours("ResNet-50", 50, "B"),
        ours("ResNet-101", 101, "B"),
        ours("ResNet-152", 152, "B"),
        ours("ResNet-50 v1.5", 50, "B", "ResNet50", stride_in="3x3"),
        ours("ResNet-101 v1.5", 101, "B", "ResNet101", stride_in="3x3"),
        ours("ResNet-152 v1.5", 152, "B", "ResNet152", stride_in="3x3"),
        torchvision("SqueezeNet 1.0", "squeezenet1_0", "SqueezeNet1_0"),
        torchvision("SqueezeNet 1.1", "squeezenet1_1", "SqueezeNet1_1"),
        Subject("Inception-v4", "timm.create_model", {"model_name": "inception_v4"}, "", 299),
        torchvision("WRN-50-2", "wide_resnet50_2", "Wide_ResNet50_2"),
        torchvision("ResNeXt-50 32x4d", "resnext50_32x4d", "ResNeXt50_32X4D"),
        torchvision("ResNeXt-101 32x8d", "resnext101_32x8d", "ResNeXt101_32X8D"),
        torchvision("DenseNet-121", "densenet121", "DenseNet121"),
        torchvision("DenseNet-169", "densenet169", "DenseNet169"),
        torchvision("DenseNet-201", "densenet201", "DenseNet201"),
        torchvision("MobileNet-v2", "mobilenet_v2", "MobileNet_V2"),
    ]


def choose(only: Sequence[str], add: Sequence[str]) -> tuple[list[Subject], list[str]]:
    """The networks to measure, and a line for each of the list that cannot be made here.

    Args:
        only: names of the list, however they are written (resnet50, ResNet-50); all if empty.
        add: networks of the user's own: dotted paths, or files of experiments.

    Raises:
        BadInput: for an unknown name, or a network that cannot be found.
    """
    listed = {slug(subject.name): subject for subject in default_list()}
    for name in only:
        if slug(name) not in listed:
            raise BadInput(f"no network is named {name!r}: expected some of {', '.join(listed)}, or --add your own")
    wanted = {slug(name) for name in only} or listed.keys()
    chosen = [subject for name, subject in listed.items() if name in wanted]
    said = [] if only else [NOWHERE]
    if not find_spec("timm") and any(subject.place.startswith("timm.") for subject in chosen):
        chosen = [subject for subject in chosen if not subject.place.startswith("timm.")]
        said.insert(0, MISSING)
    chosen += [own(given) for given in add]
    names = [subject.name for subject in chosen]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"two networks are named {twice[0]}: each needs a name of its own")
    if not chosen:
        raise BadInput(" ".join(said))
    return chosen, said


def slug(name: str) -> str:
    """A name as it is easily written: resnet50v1.5."""
    return re.sub(r"[^a-z0-9.]", "", name.lower())


def own(given: str) -> Subject:
    """The network of an experiment's file, or at a dotted path; the latter takes images of 224×224."""
    if given.endswith((".yaml", ".yml")):
        return from_experiment(Path(given))
    if "." not in given:
        raise BadInput(f"--add {given}: expected a dotted path, such as mine.Network, or an experiment's YAML file")
    subject = Subject(given, given, own=True)
    name = inspection.name(subject.build())
    return replace(subject, name=name)


def from_experiment(path: Path) -> Subject:
    """What an experiment's file, over the base.yaml nearest to it, says of the network and of the images' size.

    Raises:
        BadInput: if it cannot be read, or its data does not say how large images are.
    """
    run = prepared(path)
    if not hasattr(run.data, "image_size"):
        raise BadInput(f"{path}: its data, {type(run.data).__name__}, does not say the image_size")
    return Subject(inspection.name(run.model.network), str(path), size=run.data.image_size, own=True)


def prepared(path: Path) -> PreparedRun:
    base = next((base for folder in path.parents if (base := find_file(folder / "base.yaml")).exists()), None)
    files = [f"--config={file}" for file in (base, find_file(path)) if file]
    return prepare([*files, "--model.compile=false"], watched=False)
