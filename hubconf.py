"""For torch.hub.load: the paper's networks, and weights of those that were trained here.

    torch.hub.load(".", "resnet20", source="local", pretrained=True)

Without pretrained a network has random weights; with it, those of results/, which were trained on CIFAR-10 (JPEG), with
the mean image: it takes pixels uint8 [B, 32, 32, 3] then (resnet_lightning.load_run).
"""

from pathlib import Path

from torch import nn

from resnet_lightning.errors import BadInput
from resnet_lightning.networks import cifar_resnet as cifar_resnet
from resnet_lightning.networks import imagenet_resnet as imagenet_resnet
from resnet_lightning.runs.trained import load_run

dependencies = ["torch", "torchvision", "lightning", "jsonargparse", "safetensors"]
RESULTS = Path(__file__).parent / "results"
KEPT = {"resnet": "cifar10/table6/resnet{}", "plain": "cifar10/figure6/plain{}"}


def cifar(family: str, depth: int, pretrained: bool, seed: int) -> nn.Module:
    """A CIFAR-10 network of section 4.2, or the one that was trained with a seed."""
    if not pretrained:
        return cifar_resnet(depth, "none" if family == "plain" else "A")
    folder = RESULTS / KEPT[family].format(depth) / f"seed{seed}"
    if not (folder / "weights.safetensors").is_file():
        raise BadInput(f"no weights of {family}-{depth} with seed {seed} were kept in {RESULTS}")
    return load_run(folder)


def resnet20(pretrained: bool = False, seed: int = 0) -> nn.Module:
    """ResNet-20 for CIFAR-10."""
    return cifar("resnet", 20, pretrained, seed)


def resnet56(pretrained: bool = False, seed: int = 0) -> nn.Module:
    """ResNet-56 for CIFAR-10."""
    return cifar("resnet", 56, pretrained, seed)


def plain20(pretrained: bool = False, seed: int = 0) -> nn.Module:
    """The plain network of 20 layers for CIFAR-10."""
    return cifar("plain", 20, pretrained, seed)
