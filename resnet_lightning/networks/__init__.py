"""Plain and residual networks as torch modules."""

from resnet_lightning.networks.resnet import ResNet, cifar_resnet
from resnet_lightning.networks.shortcuts import Shortcut

__all__ = ["ResNet", "Shortcut", "cifar_resnet"]
