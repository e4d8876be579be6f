"""A classification network in two: what sees the whole image once, and what sees each region (appendix A)."""

from collections import OrderedDict
from typing import NamedTuple

from torch import Tensor, nn
from torchvision.models import VGG

from resnet_lightning.errors import BadInput
from resnet_lightning.networks import inspection


class Halves(NamedTuple):
    """The modules are the network's own, so that its weights are theirs.

    Args:
        body: images [B, 3, H, W] to features [B, channels, ⌈H / 16⌉, ⌈W / 16⌉], by stages: conv1 to conv4_x of a
            residual network, conv1_x to conv5_x of a VGG.
        channels: of the features.
        head: pooled features [R, channels, side, side] to one vector [R, width] for each region.
        side: of the pooled map.
        width: of the vector.
    """

    body: nn.Sequential
    channels: int
    head: nn.Sequential
    side: int
    width: int


class Body(nn.Sequential):
    """Its features are float32 in mixed precision too: anchors take their type, and bfloat16 has no pixel above 256."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).float()  # type: ignore[no-any-return, no-untyped-call]


def split(network: nn.Module) -> Halves:
    """The halves of a residual network of table 1 or a VGG; the last layer belongs to neither.

    Raises:
        BadInput: for another network, which says nothing of where it could be cut.
    """
    if isinstance(network, VGG):
        return split_vgg(network)
    needed = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc")
    if all(isinstance(getattr(network, name, None), nn.Module) for name in needed) and len(network.stages) == 4:  # type: ignore[arg-type]
        return split_resnet(network)
    raise BadInput(
        f"backbone {inspection.name(network)}: expected one of resnet_lightning.networks.imagenet_resnet, or a VGG"
    )


def split_resnet(network: nn.Module) -> Halves:
    """conv1 to conv4_x, and conv5_x: regions are pooled before conv5_1, to 14×14, which its stride halves."""
    parts = dict(network.named_children())
    conv1 = named(parts, "conv1", "bn1", "relu", "maxpool")
    stages = OrderedDict(conv1=conv1, **{name: parts[name] for name in ("layer1", "layer2", "layer3")})
    channels, width = (parts[name].get_submodule("0").shapes[1] for name in ("layer3", "layer4"))  # type: ignore[index]
    head = named(parts, "layer4", *(["last"] if "last" in parts else []), "avgpool")  # of pre-activation
    head.add_module("flatten", nn.Flatten())
    return Halves(Body(stages), int(channels), head, 14, int(width))


def split_vgg(network: VGG) -> Halves:
    """conv1_1 to conv5_3 without the last pooling, and fc6 and fc7: regions are pooled to 7×7."""
    stages, layers = OrderedDict[str, nn.Module](), list(network.features)
    stage: list[nn.Module] = []
    for layer in layers[:-1]:
        stage.append(layer)
        if isinstance(layer, nn.MaxPool2d):
            stages[f"conv{len(stages) + 1}"], stage = nn.Sequential(*stage), []
    stages[f"conv{len(stages) + 1}"] = nn.Sequential(*stage)
    *fully_connected, last = network.classifier
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    head = nn.Sequential(nn.Flatten(), *fully_connected)
    return Halves(Body(stages), convolutions[-1].out_channels, head, 7, last.in_features)


def named(parts: dict[str, nn.Module], *names: str) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name, parts[name]) for name in names))
