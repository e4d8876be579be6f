"""Deep Residual Learning for Image Recognition (He et al., 2015), reproduced with PyTorch Lightning.

For notebooks and scripts, each imported when it is asked for: Classifier, the networks cifar_resnet and
imagenet_resnet, the data modules CIFAR10, Digits and ImageNet, and load_run.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"
__all__ = ["CIFAR10", "Classifier", "Digits", "ImageNet", "cifar_resnet", "imagenet_resnet", "load_run"]

PLACES = {
    **dict.fromkeys(("CIFAR10", "Digits", "ImageNet"), "data"),
    **dict.fromkeys(("cifar_resnet", "imagenet_resnet"), "networks"),
    "Classifier": "training.classifier",
    "load_run": "runs.trained",
}


def __getattr__(name: str) -> Any:
    """The command line must start without PyTorch, so that these are imported late."""
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PLACES[name]}"), name)
