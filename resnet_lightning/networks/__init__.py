"""Plain and residual networks as torch modules."""

from resnet_lightning.networks.resnet import ResNet, cifar_resnet, imagenet_resnet
from resnet_lightning.networks.shortcuts import Shortcut
from resnet_lightning.networks.vgg import vgg11, vgg16

__all__ = ["ResNet", "Shortcut", "cifar_resnet", "imagenet_resnet", "vgg11", "vgg16"]
