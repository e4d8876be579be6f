"""Network in network (Lin, Chen and Yan, 2014): 1×1 convolutions, and global average pooling."""

from torch import Tensor, nn

from resnet_lightning.networks.blocks import PlainLayer
from resnet_lightning.networks.initialisation import he_initialisation
from resnet_lightning.networks.inspection import Halves
from resnet_lightning.networks.resnet import check_narrow, check_probability, narrower


class NetworkInNetwork(nn.Module):
    """Three blocks of a spatial and two 1×1 convolutions; no batch normalisation.

    Images [B, 3, H, W] become class scores [B, num_classes], the means of the last maps.
    """

    family, depth = "NiN", 9

    def __init__(self, dropout: float, num_classes: int, narrow: int) -> None:
        super().__init__()
        self.name = f"NiN{narrower(narrow)}"
        few, some, many = 96 // narrow, 160 // narrow, 192 // narrow
        self.block1 = nn.Sequential(PlainLayer(3, many, 5), PlainLayer(many, some, 1), PlainLayer(some, few, 1))
        self.pool1 = nn.Sequential(nn.MaxPool2d(3, stride=2, ceil_mode=True), nn.Dropout(dropout))
        self.block2 = nn.Sequential(PlainLayer(few, many, 5), PlainLayer(many, many, 1), PlainLayer(many, many, 1))
        self.pool2 = nn.Sequential(nn.AvgPool2d(3, stride=2, ceil_mode=True), nn.Dropout(dropout))
        self.block3 = nn.Sequential(PlainLayer(many, many, 3), PlainLayer(many, many, 1))
        self.last = nn.Conv2d(many, num_classes, kernel_size=1)
        self.apply(he_initialisation)

    def features(self, images: Tensor) -> Tensor:
        """The maps whose means are the scores, [B, num_classes, h, w]."""
        x = self.pool2(self.block2(self.pool1(self.block1(images))))
        return self.last(self.block3(x))  # type: ignore[no-any-return]

    def fully_convolutional(self) -> Halves:
        return self.features, nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.features(images).mean((2, 3))


def network_in_network(dropout: float = 0.5, num_classes: int = 10, narrow: int = 1) -> NetworkInNetwork:
    """NiN for CIFAR-10, 966,986 parameters.

    The widths are those of a common re-implementation, for the paper prints none. It has the first pooling as a
    maximum and the second as a mean, over 3×3 pixels, as the authors' own settings do. Of theirs, the ReLU on the
    last maps is left out, since scores that are all zero learn nothing.

    Args:
        dropout: after each pooling.
        narrow: what all widths are divided by, 1, 2, 4 or 8.

    Raises:
        BadInput: for another narrow, or a dropout that is no probability below 1.
    """
    check_probability("dropout", dropout)
    check_narrow(narrow)
    return NetworkInNetwork(dropout, num_classes, narrow)
