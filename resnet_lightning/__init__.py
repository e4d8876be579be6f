"""Deep Residual Learning for Image Recognition (He et al., 2015), reproduced with PyTorch Lightning."""

__version__ = "0.1.0"
