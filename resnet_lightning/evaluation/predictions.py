"""Class probabilities of every evaluated image in one file, which an interrupted `predict` goes on filling."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from numpy.typing import NDArray
from torch import Tensor

from resnet_lightning.evaluation.ensemble import DAMAGED, TO_DO, prediction_files
from resnet_lightning.runs.folder import make_folder, read_json, write_json


class PredictionFile(BasePredictionWriter):
    """Fills predictions-<evaluation>.npy: one row an image with its label and its probabilities of all classes.

    A row that is still to do has the label -1, an image that was damaged and left out -2.

    Args:
        folder: of the run.
        about: what the probabilities are of, evaluation and checkpoint among it; only a file of the same is continued.
        images: number of images.
    """

    def __init__(self, folder: Path, about: dict[str, Any], images: int) -> None:
        super().__init__("batch")
        self.path, self.about_path = prediction_files(folder, about["evaluation"])
        self.about = about
        self.images = images
        self.rows: NDArray[Any] | None = None
        earlier = read_json(self.about_path)
        if earlier == about | {"complete": False} and self.path.exists():
            self.rows = np.load(self.path, mmap_mode="r+")

    @property
    def done(self) -> Tensor:
        """Which images need not be looked at again, bool [N]."""
        if self.rows is None:
            return torch.zeros(self.images, dtype=torch.bool)
        return torch.from_numpy(self.rows["label"] != TO_DO)

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Any,
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        probabilities, labels, numbers = (values.cpu().numpy() for values in prediction)
        if self.rows is None:
            if trainer.is_global_zero:
                self._create(probabilities.shape[1])
            trainer.strategy.barrier()  # every process fills its rows of the one file
            self.rows = np.load(self.path, mmap_mode="r+")
        self.rows["probabilities"][numbers] = probabilities
        self.rows["label"][numbers] = labels

    def _create(self, classes: int) -> None:
        make_folder(self.path.parent)
        self.about_path.unlink(missing_ok=True)
        row = np.dtype([("label", "<i4"), ("probabilities", "<f4", (classes,))])
        unfinished = self.path.with_name(f".{self.path.name}")
        rows = np.lib.format.open_memmap(unfinished, "w+", row, (self.images,))
        rows["label"] = TO_DO
        rows.flush()
        unfinished.replace(self.path)  # never with labels of 0, nor those of another checkpoint
        write_json(self.about_path, self.about | {"complete": False})

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            self.complete()

    def complete(self) -> None:
        """Says that every image has been looked at."""
        if self.rows is not None:
            left = self.rows["label"] == TO_DO
            self.rows["label"][left] = DAMAGED
            write_json(self.about_path, self.about | {"complete": True})
