"""VGG-16, which table 3 compares with, as torchvision defines it."""

from torchvision.models import VGG
from torchvision.models import vgg16 as torchvision_vgg16


def vgg16(num_classes: int = 1000) -> VGG:
    """Images [B, 3, H, W] become class scores (logits) [B, num_classes]; dropout, and no batch normalisation."""
    network = torchvision_vgg16(num_classes=num_classes)
    network.name, network.family, network.depth = "VGG-16", "VGG", 16
    return network
