"""What happens beside the training loop."""

from resnet_lightning.callbacks.gradients import GradientFlow
from resnet_lightning.callbacks.progress import Progress
from resnet_lightning.callbacks.responses import LayerResponses

__all__ = ["GradientFlow", "LayerResponses", "Progress"]
