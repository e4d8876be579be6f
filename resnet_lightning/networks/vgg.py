"""VGG-16, which tables 3, 7 and 8 compare with, as torchvision defines it, and a smaller one for a CPU."""

from torch import nn
from torchvision.models import VGG
from torchvision.models import vgg11 as torchvision_vgg11
from torchvision.models import vgg16 as torchvision_vgg16

from resnet_lightning.errors import BadInput


def vgg16(num_classes: int = 1000) -> VGG:
    """Images [B, 3, H, W] become class scores (logits) [B, num_classes]; dropout, and no batch normalisation."""
    network = torchvision_vgg16(num_classes=num_classes)
    network.name, network.family, network.depth = "VGG-16", "VGG", 16
    return network


def vgg11(num_classes: int = 1000, width: int = 512) -> VGG:
    """VGG-11 with fully connected layers of some width, where VGG's 4,096 make nine tenths of its parameters.

    Weights are drawn with fan-in (He et al., 2015, the paper's [13]): by torchvision's fan-out responses shrink to a
    twentieth, as nothing normalises them, and a detector on top learns nothing. The last layer's are VGG's, of 0.01.

    Raises:
        BadInput: for no width.
    """
    if width < 1:
        raise BadInput(f"width {width}: expected the units of a fully connected layer, at least 1")
    network = torchvision_vgg11(num_classes=num_classes)
    first, second, last = nn.Linear(512 * 7 * 7, width), nn.Linear(width, width), nn.Linear(width, num_classes)
    network.classifier = nn.Sequential(
        *(first, nn.ReLU(inplace=True), nn.Dropout(), second, nn.ReLU(inplace=True), nn.Dropout(), last)
    )
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        else:
            nn.init.zeros_(parameter)
    nn.init.normal_(last.weight, std=0.01)
    network.name, network.family, network.depth = f"VGG-11 of {width}", "VGG", 11
    return network
