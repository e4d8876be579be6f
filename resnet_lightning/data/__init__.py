"""Data modules whose images stay on the device as bytes."""

from resnet_lightning.data.cifar10 import CIFAR10
from resnet_lightning.data.digits import Digits

__all__ = ["CIFAR10", "Digits"]
