"""What a network expects of a picture: its size, the mean that is subtracted, and the names of the classes."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from resnet_lightning.data.colour import normalize
from resnet_lightning.errors import BadInput

Picture = str | Path | Image.Image | Tensor


class Preprocessing(NamedTuple):
    """From a picture to a network's input. It travels with checkpoints and with kept weights.

    Args:
        mean: as fractions of 255, float32 [size, size, 3] or [3].
        std: likewise, [3]; ones where nothing is divided.
        size: side of the input, pixels.
        side: to which a picture's shorter side is resized, before its centre is cropped.
        classes: their names, in the order of the scores.
    """

    mean: Tensor
    std: Tensor
    size: int
    side: int
    classes: tuple[str, ...]

    def state(self) -> dict[str, Any]:
        """For a checkpoint, which holds tensors, numbers and words only."""
        return {**self._asdict(), "mean": self.mean.cpu(), "std": self.std.cpu(), "classes": list(self.classes)}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> "Preprocessing":
        """From state()."""
        return cls(**{**state, "classes": tuple(state["classes"])})

    def pixels(self, picture: Picture) -> Tensor:
        """The centre of a picture, uint8 [size, size, 3].

        Args:
            picture: a file, a Pillow image, or pixels, uint8 [H, W, 3]. One of the right size stays as it is.

        Raises:
            BadInput: for a file that is no picture, or pixels of another shape.
        """
        image = opened(picture)
        if image.size == (self.size, self.size):
            return torch.from_numpy(np.array(image))
        width, height = image.size
        scale = self.side / min(width, height)
        image = image.resize((max(self.side, int(width * scale)), max(self.side, int(height * scale))), RESAMPLING)
        left, top = (image.size[0] - self.size) // 2, (image.size[1] - self.size) // 2
        return torch.from_numpy(np.array(image.crop((left, top, left + self.size, top + self.size))))

    def input(self, pixels: Tensor) -> Tensor:
        """Pixels uint8 [B, size, size, 3] as what the network takes, float32 [B, 3, size, size]."""
        return normalize(pixels, self.mean.to(pixels.device), self.std.to(pixels.device))


RESAMPLING = Image.Resampling.BILINEAR


def opened(picture: Picture) -> Image.Image:
    """A picture in red, green and blue."""
    if isinstance(picture, Tensor):
        if picture.dtype != torch.uint8 or picture.dim() != 3 or picture.shape[2] != 3:
            raise BadInput(f"pixels {picture.dtype} {list(picture.shape)}: expected uint8 [H, W, 3]")
        return Image.fromarray(picture.numpy())
    if isinstance(picture, Image.Image):
        return picture.convert("RGB")
    try:
        with Image.open(picture) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise BadInput(f"{picture} is no picture that can be read: {error}") from error
