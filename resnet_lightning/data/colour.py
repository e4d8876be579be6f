"""The colours of a whole batch, on its device: PCA colour augmentation and normalisation (section 3.4)."""

import random

import torch
from torch import Tensor

# Principal components of ImageNet's colours as fractions of 255, those of AlexNet as fb.resnet.torch gives them: the
# colour augmentation that section 3.4 takes over.
EIGENVALUES = torch.tensor([0.2175, 0.0188, 0.0045])
EIGENVECTORS = torch.tensor([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
# Of ImageNet's channels as fractions of 255, as everyone uses them, torchvision's weights too.
CHANNEL_MEAN = torch.tensor([0.485, 0.456, 0.406])
CHANNEL_STD = torch.tensor([0.229, 0.224, 0.225])


def colour_shift(seed: int, sigma: float) -> Tensor:
    """What is added to every pixel of one image, as fractions of 255, float32 [3]: normal along each component."""
    draws = random.Random(f"colour {seed}")
    alphas = torch.tensor([draws.gauss(0.0, sigma) for _ in range(3)])
    return EIGENVECTORS @ (alphas * EIGENVALUES)


def normalize(pixels: Tensor, mean: Tensor, std: Tensor, shifts: Tensor | None = None) -> Tensor:
    """Bytes to network input: (pixels / 255 + shift - mean) / std.

    Args:
        pixels: uint8 [..., H, W, 3].
        mean: as fractions of 255, [H, W, 3] or [3].
        std: likewise, [3].
        shifts: one for each image of a batch, [B, 3].

    Returns:
        float32 [..., 3, H, W], channels last in memory.
    """
    values = pixels.float().mul_(1 / (255 * std))
    values -= mean / std
    if shifts is not None:
        values += (shifts / std)[:, None, None]
    return values.movedim(-1, -3)
