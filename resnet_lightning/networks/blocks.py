"""The two-layer building block (figure 2): relu(F(x) + shortcut(x)), or relu(F(x)) in a plain network."""

from torch import Tensor, nn

from resnet_lightning.networks.shortcuts import Shortcut, make_shortcut


class BasicBlock(nn.Module):
    """F is two 3×3 convolutions, each followed by batch normalisation, with a ReLU between them.

    [B, in_channels, H, W] becomes [B, channels, ⌈H / stride⌉, ⌈W / stride⌉].
    """

    def __init__(self, in_channels: int, channels: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = make_shortcut(shortcut, in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            out += self.downsample(x)
        return self.relu(out)  # type: ignore[no-any-return]
