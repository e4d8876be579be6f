"""What watches a run: callbacks that experiments name in their YAML, and that change nothing of it."""

from resnet_lightning.callbacks.detections import Detections
from resnet_lightning.callbacks.gradients import GradientFlow
from resnet_lightning.callbacks.responses import LayerResponses

__all__ = ["Detections", "GradientFlow", "LayerResponses"]
