"""Wide residual networks (Zagoruyko and Komodakis, 2016): fewer layers, each with more channels."""

from itertools import count

from torchvision.models import ResNet as TorchvisionResNet
from torchvision.models import wide_resnet50_2

from resnet_lightning.errors import BadInput
from resnet_lightning.networks.preactivation import Unit, sequence
from resnet_lightning.networks.resnet import ResNet, check_probability


def wide_resnet(depth: int, width: int, dropout: float = 0.0, num_classes: int = 10) -> ResNet:
    """WRN-depth-width for CIFAR-10: basic pre-activation blocks B(3,3) of 16, 32 and 64 channels times the width.

    Of the 6N+4 layers, 6N are in blocks; the paper counts the stem, and the three projections across sizes.

    Args:
        dropout: probability with which an activation between a block's two convolutions is zero.

    Raises:
        BadInput: for a depth that is not 6N+4, a width below 1, or a dropout that is no probability below 1.
    """
    n, rest = divmod(depth - 4, 6)
    if n < 1 or rest:
        raise BadInput(f"depth {depth}: a wide residual network has 6N+4 layers, such as 16, 28 or 40")
    if width < 1:
        raise BadInput(f"width {width}: expected what 16, 32 and 64 channels are multiplied with, at least 1")
    check_probability("dropout", dropout)
    numbers, widths = count(), (16 * width, 32 * width, 64 * width)

    def make(inside: int, outside: int, stride: int) -> Unit:
        return Unit(inside, outside, stride, first=next(numbers) == 0, dropout=dropout)

    name = f"WRN-{depth}-{width}" + " dropout" * bool(dropout)
    last = sequence("BR", widths[-1])
    return ResNet(name, depth, (n,) * 3, widths, make, "B", 16, False, num_classes, family="wide ResNet", last=last)


def imagenet_wide_resnet50(num_classes: int = 1000) -> TorchvisionResNet:
    """WRN-50-2-bottleneck for ImageNet, as torchvision defines it: ResNet-50 whose 3×3 layers are twice as wide."""
    network = wide_resnet50_2(num_classes=num_classes)
    network.name, network.family, network.depth = "WRN-50-2-bottleneck", "wide ResNet", 50
    return network
