"""What a network has to answer: class scores [B, classes]."""

from typing import Any

from torch import Tensor, nn

from resnet_lightning.errors import BadInput
from resnet_lightning.networks import inspection


def class_scores(network: nn.Module, images: Tensor) -> Tensor:
    """A network's answer to images [B, C, H, W].

    Raises:
        BadInput: if it is no tensor [B, classes], such as the tuple of a network with auxiliary classifiers.
    """
    scores: Any = network(images)
    if isinstance(scores, Tensor) and scores.ndim == 2 and len(scores) == len(images):
        return scores
    found = f"a tensor {list(scores.shape)}" if isinstance(scores, Tensor) else f"a {type(scores).__name__}"
    raise BadInput(
        f"{inspection.name(network)} answers {len(images)} images with {found}: expected class scores [{len(images)}, "
        "classes]; for another answer, write a training step of your own (docs/extending.md)"
    )
