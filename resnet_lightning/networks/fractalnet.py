"""FractalNet (Larsson, Maire and Shakhnarovich, 2017): as deep as a ResNet, with shorter columns and no shortcut."""

import torch
from torch import Tensor, nn

from resnet_lightning.errors import BadInput
from resnet_lightning.networks.initialisation import he_initialisation
from resnet_lightning.networks.inspection import Block
from resnet_lightning.networks.preactivation import sequence
from resnet_lightning.networks.resnet import check_narrow, check_probability, narrower

CHANNELS = (64, 128, 256, 512, 512)  # of the blocks
DROPOUT = (0.0, 0.1, 0.2, 0.3, 0.4)


class Join(nn.Module):
    """The mean of the columns that end here, [B, C, H, W] each; while training, drop-path leaves some of them out.

    Attributes:
        local: the probability with which each is left out; one always stays.
        column: the only one that is open, counted from the longest, 0; None for all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.local = 0.0
        self.column: int | None = None

    def forward(self, paths: list[Tensor]) -> Tensor:
        """The longest path comes first. One that is left out counts as 0 times, so that its gradients are zeros."""
        keep = [1.0] * len(paths)
        if self.training and self.column is not None:
            open_one = min(self.column, len(paths) - 1)  # on a join off the open column nothing depends
            keep = [float(place == open_one) for place in range(len(paths))]
        elif self.training and self.local:
            keep = (torch.rand(len(paths), device="cpu") >= self.local).float().tolist()
            if not any(keep):
                keep[int(torch.randint(len(paths), (), device="cpu"))] = 1.0
        shares = [one / sum(keep) for one in keep]
        return torch.stack([share * path for share, path in zip(shares, paths, strict=True)]).sum(0)


class Fractal(nn.Module):
    """The columns of f_C: f_1(x) = conv(x), and f_C(x) = (f_{C-1} ∘ f_{C-1})(x) joined with conv(x)."""

    def __init__(self, in_channels: int, channels: int, columns: int, dropout: float) -> None:
        super().__init__()
        if columns > 1:
            self.first = Fractal(in_channels, channels, columns - 1, dropout)
            self.join = Join()
            self.second = Fractal(channels, channels, columns - 1, dropout)
        convolution = nn.Conv2d(in_channels, channels, kernel_size=3, padding=1, bias=False)
        self.column = sequence("CBRD" if dropout else "CBR", in_channels, [convolution], dropout)
        self.columns = columns

    def forward(self, x: Tensor) -> list[Tensor]:
        """What each column makes of x, the longest first; the caller joins them."""
        longer = self.second(self.join(self.first(x))) if self.columns > 1 else []
        return [*longer, self.column(x)]


class FractalBlock(nn.Module):
    """A fractal with its last join. [B, in_channels, H, W] becomes [B, channels, H, W]."""

    def __init__(self, in_channels: int, channels: int, columns: int, dropout: float) -> None:
        super().__init__()
        self.fractal = Fractal(in_channels, channels, columns, dropout)
        self.join = Join()
        self.change = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        paths = self.fractal(x)
        shortest = paths[-1]
        return shortest + self.change(self.join(paths) - shortest)  # type: ignore[no-any-return]

    def as_block(self) -> Block:
        """F is all that the longer columns change; deleted, the column of one convolution is left, as in drop-path."""
        columns = {name: part for name, part in self.named_modules() if name.endswith("column")}
        layers = {f"{name}.conv1": part.bn1 for name, part in columns.items()}
        return Block(layers, self.change, self.fractal.column, keeps_shape=False)


class FractalNet(nn.Module):
    """Five blocks, each before a 2×2 max pooling, and a linear layer; the last pooling takes what is left of the map.

    Images [B, 3, H, W] become class scores [B, num_classes].
    """

    family = "FractalNet"

    def __init__(self, name: str, columns: int, drop_path: float, dropout: bool, num_classes: int, narrow: int) -> None:
        super().__init__()
        self.name, self.columns, self.drop_path = name, columns, drop_path
        self.depth = len(CHANNELS) * 2 ** (columns - 1) + 1
        blocks, channels = nn.Sequential(), 3
        widths = [width // narrow for width in CHANNELS]
        for number, (width, rate) in enumerate(zip(widths, DROPOUT, strict=True), start=1):
            blocks.add_module(f"block{number}", FractalBlock(channels, width, columns, rate * dropout))
            last = number == len(CHANNELS)
            blocks.add_module(f"pool{number}", nn.AdaptiveMaxPool2d(1) if last else nn.MaxPool2d(2))
            channels = width
        self.blocks = blocks
        self.fc = nn.Linear(channels, num_classes)
        self.apply(he_initialisation)

    def forward(self, images: Tensor) -> Tensor:
        if self.training and self.drop_path:
            self.draw()
        return self.fc(self.blocks(images).flatten(1))  # type: ignore[no-any-return]

    def draw(self) -> None:
        """One sample of drop-path for a batch: half of them local, half global, with one column open everywhere."""
        one = torch.rand((), device="cpu") < 0.5
        column = int(torch.randint(self.columns, (), device="cpu")) if one else None
        for module in self.modules():
            if isinstance(module, Join):
                module.column, module.local = column, self.drop_path


def fractalnet(
    columns: int = 3, drop_path: float = 0.15, dropout: bool = True, num_classes: int = 10, narrow: int = 1
) -> FractalNet:
    """FractalNet for CIFAR-10 with 5 · 2^(C-1) convolutions in its longest path: 20 with 3 columns.

    33,724,618 parameters. DenseNet's table gives 38.6M for 21 layers, which these widths do not make; they and the
    rates of dropout are those that other implementations name. Where dropout stands is not said: behind each ReLU here.
    A batch draws its paths once.

    Args:
        columns: C.
        drop_path: the probability with which a join leaves out a path; 0 for no drop-path, local or global.
        dropout: of 0, 10, 20, 30 and 40 % in the five blocks.
        narrow: what all widths are divided by, 1, 2, 4 or 8.

    Raises:
        BadInput: for no columns, another narrow, or a drop_path that is no probability below 1.
    """
    if columns < 1:
        raise BadInput(f"columns {columns}: expected at least 1, such as 3 for 20 convolutions in a row")
    check_narrow(narrow)
    check_probability("drop_path", drop_path)
    words = [word for word, there in (("drop-path", drop_path), ("dropout", dropout)) if there]
    name = " ".join([f"FractalNet-{5 * 2 ** (columns - 1) + 1}", *words]) + narrower(narrow)
    return FractalNet(name, columns, drop_path, dropout, num_classes, narrow)
