"""From Python, as Lightning's users work: a Classifier and a data module with a Trainer of their own; checkpoints."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import same
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.optim import SGD

from resnet_lightning import Classifier, Digits, cifar_resnet
from resnet_lightning.errors import BadInput
from resnet_lightning.schedules import Steps


class Seen(Callback):
    """What a user's callback finds after each evaluation."""

    def __init__(self) -> None:
        self.names: list[set[str]] = []

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self.names.append(set(trainer.callback_metrics))


def classifier() -> Classifier:
    return Classifier(cifar_resnet(8), partial(SGD, lr=0.1, momentum=0.9, fused=True), Steps)


def trainer(folder: Path, **settings: Any) -> Trainer:
    given: dict[str, Any] = {
        "enable_model_summary": False,
        "max_epochs": 2,
        "accelerator": "cpu",
        "enable_progress_bar": False,
        "log_every_n_steps": 4,
    }
    return Trainer(default_root_dir=folder, **(given | settings))


@pytest.mark.filterwarnings("ignore")
def test_a_script_with_a_trainer_of_its_own(tmp_path: Path) -> None:
    data, seen = Digits(image_size=8, padding=1, validation_images=37), Seen()
    stopping = EarlyStopping("val/error", patience=5)
    kept = ModelCheckpoint(tmp_path / "kept", filename="best", monitor="val/error")
    logger = CSVLogger(tmp_path)
    mine = trainer(tmp_path, callbacks=[seen, stopping, kept], logger=logger)
    model = classifier()
    mine.fit(model, data)
    assert mine.global_step == model.iterations == 20
    [_first, *rest] = seen.names
    assert {"val/error", "test/error"} <= rest[-1] and {"train/loss", "train/error", "lr"} <= rest[-1]
    logger.save()
    rows = read_metrics_of(Path(logger.log_dir))
    assert "0" not in {row["step"] for row in rows if row.get("val/error")}  # of the look before training
    rates = [float(row["lr"]) for row in rows if row.get("lr")]
    assert rates[0] == pytest.approx(0.1) and rates[-1] == pytest.approx(0.001)
    assert all(float(row["images_per_second"]) > 0 for row in rows if row.get("images_per_second"))
    mine.test(model, data, verbose=False)
    assert mine.callback_metrics["test/images"] == 360

    with pytest.raises(BadInput, match="network="):
        Classifier.load_from_checkpoint(tmp_path / "kept" / "best.ckpt")
    with pytest.raises(BadInput, match="ResNet-8, not the configured ResNet-14"):
        settings = {"optimizer": model.optimizer, "schedule": model.schedule}
        Classifier.load_from_checkpoint(tmp_path / "kept" / "best.ckpt", network=cifar_resnet(14), **settings)
    again = Classifier.load_from_checkpoint(tmp_path / "kept" / "best.ckpt", network=cifar_resnet(8), **settings)
    trainer(tmp_path, max_epochs=3, logger=False).fit(again, data, ckpt_path=str(tmp_path / "kept" / "best.ckpt"))
    assert again.trainer.global_step == again.iterations == 30


def read_metrics_of(folder: Path) -> list[dict[str, str]]:
    import csv

    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_schedule_needs_an_end(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="max_epochs"):
        trainer(tmp_path, max_epochs=-1, max_time="00:00:01:00", logger=False, enable_checkpointing=False).fit(
            classifier(), Digits(image_size=8)
        )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the parser that Lightning uses
def test_a_checkpoint_makes_its_module(finished: Path) -> None:
    path = finished / "checkpoints" / "iteration=22.ckpt"
    model = Classifier.load_from_checkpoint(path)
    state = torch.load(path, weights_only=True)["state_dict"]
    assert model.network.name == "ResNet-8" and same(dict(model.state_dict()), state)
    assert (
        model.weight_decay_on
        == yaml.safe_load((finished / "config.yaml").read_text(encoding="utf-8"))["model"]["weight_decay_on"]
    )
    other = Classifier.load_from_checkpoint(path, top5=True)
    assert other.val_metrics.top5_error is not None
    with pytest.raises(BadInput, match="ResNet-8, not the configured ResNet-14"):
        Classifier.load_from_checkpoint(path, network=cifar_resnet(14))
