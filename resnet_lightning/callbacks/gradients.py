"""Gradient flow: the gradient norm of every layer's weights, at initialisation and during training (section 4.1)."""

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from resnet_lightning.compat import norms as gradient_norms
from resnet_lightning.errors import BadInput
from resnet_lightning.networks.inspection import layers
from resnet_lightning.runs.folder import GRADIENTS
from resnet_lightning.runs.metrics_logger import MetricsFile

TIMES = 60


class GradientFlow(Callback):
    """Writes gradients.csv in the run's folder: the Euclidean norm of the loss's gradient by the weights of each layer.

    The loss is the mean over one training batch, without weight decay. The row of an iteration is of the weights after
    so many iterations; the first is of the initialisation, 0.

    Args:
        every: iterations between two rows; by default a 60th of the run.
    """

    def __init__(self, every: int | None = None) -> None:
        if every is not None and every < 1:
            raise BadInput(f"GradientFlow's every {every}: expected a number of iterations, at least 1")
        self.every = every
        self.file: MetricsFile | None = None
        self.weights: dict[str, Any] = {}
        self.interval = 1

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.interval = self.every or max(1, pl_module.iterations // TIMES)
        self.weights = {name: layer.module.weight for name, layer in layers(pl_module.network).items()}
        self.file = MetricsFile(Path(trainer.default_root_dir) / GRADIENTS)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        if trainer.global_step % self.interval or not self.weights or self.file is None:
            return
        gradients: list[Tensor] = [torch.zeros(()) if w.grad is None else w.grad for w in self.weights.values()]
        # The same on every process, whose gradients have been averaged by now.
        norms = torch.stack(gradient_norms(gradients)).tolist()  # waits for the device
        self.file.log_metrics(dict(zip(self.weights, norms, strict=True)), trainer.global_step)
        row = {"gradient/first": norms[0], "gradient/last": norms[-1]}
        if norms[-1]:
            row["gradient/first_to_last"] = norms[0] / norms[-1]
        for logger in trainer.loggers:
            logger.log_metrics(row, step=trainer.global_step)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self._save()  # rows up to a checkpoint must not be lost with the process

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        self._save()

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        self._save()

    def _save(self) -> None:
        if self.file is not None:
            self.file.save()
