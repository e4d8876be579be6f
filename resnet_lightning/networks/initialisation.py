"""What weights are before training: He et al. (2015a), the paper's reference 13."""

import math
from typing import Literal

import torch
from torch import nn

Fan = Literal["in", "out"]


def he_initialisation(module: nn.Module) -> None:
    """Normal weights of variance 2 / fan-in (the paper's reference 13, and the default of the framework it used)."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def rescale_to_fan_out(network: nn.Module) -> None:
    """Gives the convolutions variance 2 / fan-out: the numbers that were drawn, times √(fan-in / fan-out).

    The linear layer stays as it is, as in fb.resnet.torch and torchvision. Nothing is drawn, so that networks of one
    seed differ in the scale alone.
    """
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                fan_in, fan_out = module.weight[0].numel(), module.weight[:, 0].numel()
                module.weight.mul_(math.sqrt(fan_in / fan_out))
