"""Data modules for object detection: images of any size, and the boxes in them (Tables 7 and 8, appendix A)."""

from resnet_lightning.data.detection.coco import COCO
from resnet_lightning.data.detection.voc import VOC

__all__ = ["COCO", "VOC"]
