"""Data modules: images that stay on the device as bytes, and image files that travel there as bytes."""

from resnet_lightning.data.cifar10 import CIFAR10
from resnet_lightning.data.digits import Digits
from resnet_lightning.data.imagenet import ImageNet

__all__ = ["CIFAR10", "Digits", "ImageNet"]
