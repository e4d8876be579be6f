"""What happens beside the training loop."""

from resnet_lightning.callbacks.progress import Progress

__all__ = ["Progress"]
