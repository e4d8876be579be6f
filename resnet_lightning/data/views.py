"""What an evaluation shows of an image: itself, ten crops, or the whole image at several scales (section 3.4)."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Crops(NamedTuple):
    """Normalised crops [B, K, 3, H, W]; each is seen mirrored too."""

    images: Tensor


class Scales(NamedTuple):
    """Whole normalised images [B, 3, H, W] at several sizes; each is seen mirrored too.

    The network is applied wherever window × window places of its last map fit, 7×7 for networks of 224×224.
    """

    images: Sequence[Tensor]
    window: int


Views = Tensor | Crops | Scales
