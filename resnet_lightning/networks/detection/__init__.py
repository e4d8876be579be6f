"""Detectors around the networks of classification (section 4.3 and appendix A)."""

from resnet_lightning.networks.detection.faster_rcnn import FasterRCNN

__all__ = ["FasterRCNN"]
