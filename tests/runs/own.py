"""What a user of this package may write: a data module, a model and callbacks of their own."""

from typing import Any

import torch
from lightning import Callback, LightningDataModule
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from resnet_lightning.training.classifier import Classifier


class Pictures(LightningDataModule):
    """Digits as any LightningDataModule gives them: no title, no size, no numbers of images."""

    def setup(self, stage: str) -> None:
        pixels, labels = load_digits(return_X_y=True)
        images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8).repeat(1, 3, 1, 1) / 16
        self.images = TensorDataset(images, torch.tensor(labels))

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.images, batch_size=64, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.images, batch_size=100)

    def predict_dataloader(self) -> DataLoader[Any]:
        return self.val_dataloader()


class Doubled(Classifier):
    """A Classifier whose loss is twice as large."""

    def __init__(self, *args: Any, factor: float = 2.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.factor = factor

    def training_step(self, batch: Any) -> Tensor:
        return self.factor * super().training_step(batch)


class Enough(Callback):
    """Ends training after some iterations."""

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        trainer.should_stop = trainer.should_stop or trainer.global_step == 7


class Shorter(Callback):
    """Changes the length of a run behind its back."""

    def on_train_start(self, trainer: Any, *_: Any) -> None:
        trainer.fit_loop.epoch_loop.max_steps = 5
