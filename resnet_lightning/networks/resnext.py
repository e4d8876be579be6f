"""ResNeXt (Xie et al., 2017): bottlenecks whose 3×3 convolution is a sum of many narrow ones."""

from torchvision.models import ResNet as TorchvisionResNet
from torchvision.models import resnext50_32x4d, resnext101_32x8d, resnext101_64x4d

from resnet_lightning.errors import BadInput
from resnet_lightning.networks.blocks import Bottleneck
from resnet_lightning.networks.resnet import ResNet, check_narrow, narrower

IMAGENET = {"50 32x4d": resnext50_32x4d, "101 32x8d": resnext101_32x8d, "101 64x4d": resnext101_64x4d}


def resnext(depth: int = 29, cardinality: int = 8, width: int = 64, num_classes: int = 10, narrow: int = 1) -> ResNet:
    """ResNeXt for CIFAR-10: 9n+2 layers, stages of n bottlenecks with 256, 512 and 1024 channels after a stem of 64.

    As in figure 3c and the final text, ReLUs come after the addition; a note of the authors' release says that the
    numbers of the preprint came from pre-activation. The stride is on the 3×3. Projections are normalised (option B).

    Args:
        cardinality: number of paths, the groups of the 3×3 convolution.
        width: channels of each in the first stage, doubled with each stage.
        narrow: what all other widths are divided by, 1, 2, 4 or 8.

    Raises:
        BadInput: for a depth that is not 9n+2, a cardinality or width below 1, or another narrow.
    """
    n, rest = divmod(depth - 2, 9)
    if n < 1 or rest:
        raise BadInput(f"depth {depth}: a ResNeXt for CIFAR-10 has 9n+2 layers, such as 29")
    for said, value in (("cardinality", cardinality), ("width", width)):
        if value < 1:
            raise BadInput(f"{said} {value}: expected at least 1, such as cardinality 8 and width 64")

    check_narrow(narrow)
    widths = (256 // narrow, 512 // narrow, 1024 // narrow)

    def make(inside: int, outside: int, stride: int) -> Bottleneck:
        return Bottleneck(inside, outside, stride, "B", "3x3", cardinality * width * outside // widths[0], cardinality)

    name = f"ResNeXt-{depth} {cardinality}x{width}d{narrower(narrow)}"
    return ResNet(name, depth, (n,) * 3, widths, make, "B", 64 // narrow, False, num_classes, family="ResNeXt")


def imagenet_resnext(depth: int = 50, paths: str = "32x4d", num_classes: int = 1000) -> TorchvisionResNet:
    """ResNeXt for ImageNet, as torchvision defines it: 50 layers of 32x4d, or 101 of 32x8d or 64x4d.

    Raises:
        BadInput: for others.
    """
    if f"{depth} {paths}" not in IMAGENET:
        raise BadInput(f"depth {depth}, paths {paths}: expected one of {', '.join(IMAGENET)}")
    network: TorchvisionResNet = IMAGENET[f"{depth} {paths}"](num_classes=num_classes)
    network.name, network.family, network.depth = f"ResNeXt-{depth} {paths}", "ResNeXt", depth
    return network
