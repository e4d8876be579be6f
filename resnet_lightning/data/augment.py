"""Random crops and flips of whole batches (section 4.2): pad, crop at random, flip at random, subtract the mean.

A padded image has only (2 · padding + 1)² · 2 different views (162 with the paper's 4 pixels), so every view is listed
once, as the places of its pixels in the padded image. A batch is then one gather, on the device, from bytes.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

PaddingMode = Literal["zeros", "reflection"]


def pad(images: Tensor, padding: int, mode: PaddingMode = "zeros") -> Tensor:
    """Zeros or mirrored pixels around the images: [..., H, W, C] becomes [..., H + 2 padding, W + 2 padding, C]."""
    if mode == "zeros":
        return F.pad(images, (0, 0, padding, padding, padding, padding))
    around = [(0, 0)] * (images.dim() - 3) + [(padding, padding), (padding, padding), (0, 0)]
    return torch.from_numpy(np.pad(images.numpy(), around, mode="reflect"))


def view_number(dy: Tensor, dx: Tensor, flip: Tensor, padding: int) -> Tensor:
    """The number of the view that starts at row dy and column dx of the padded image, mirrored where flip is 1."""
    return (dy * (2 * padding + 1) + dx) * 2 + flip


def all_views(padded: Tensor, padding: int) -> Tensor:
    """Every view of one padded image [H + 2p, W + 2p, C], in the order of view_number: [(2p + 1)² · 2, H · W · C]."""
    height, width = padded.shape[0] - 2 * padding, padded.shape[1] - 2 * padding
    crops = padded.unfold(0, height, 1).unfold(1, width, 1)  # dy, dx, C, H, W
    crops = crops.permute(0, 1, 3, 4, 2)
    return torch.stack((crops, crops.flip(3)), dim=2).reshape(-1, height * width * padded.shape[2])


def gather_views(padded: Tensor, places: Tensor, images: Tensor, views: Tensor) -> Tensor:
    """The given view of each of the given images.

    Args:
        padded: all padded images, uint8 [N, H + 2p, W + 2p, C], contiguous.
        places: all_views of the numbers 0, 1, 2, … laid out as one padded image, in integers that can count all bytes.
        images: which images, int64 [B].
        views: which view of each, int64 [B].

    Returns:
        uint8 [B, H · W · C].
    """
    # Measured on a CPU: index_select is 2 to 5 times faster than take or advanced indexing, and indices of 32 bits make
    # batches 1.3 times faster than indices of 64.
    index = places.index_select(0, views).add_((images[:, None] * padded[0].numel()).to(places.dtype))
    return padded.view(-1).index_select(0, index.view(-1)).view(index.shape)
