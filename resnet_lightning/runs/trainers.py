"""The Trainer of a run: which of Lightning's settings make sense for one, and what every run adds to them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.pytorch.loggers import Logger

from resnet_lightning.data.imagenet import ITERATIONS, size_of
from resnet_lightning.errors import BadInput
from resnet_lightning.runs.checkpoint_io import AtomicCheckpointIO
from resnet_lightning.training.devices import fastest_safe_precision

IMAGENET = "resnet_lightning.data.ImageNet"  # as configurations name it
EVALUATIONS = 120  # of a run on ImageNet that does not say when to evaluate


def make_trainer(
    run: Any, callbacks: Iterable[Callback] = (), loggers: Iterable[Logger] = (), **settings: Any
) -> Trainer:
    """Lightning's Trainer with the settings of a prepared run, in whose folder it works.

    Args:
        callbacks: beside those that the configuration names.
        loggers: all there are; without any nothing is logged, and no checkpoints are written.
        settings: in place of those of the run.

    Raises:
        BadInput: if the Trainer does not take a setting.
    """
    given = {**run.settings, **settings}
    named = given["callbacks"] or []
    given["callbacks"] = [*(named if isinstance(named, list) else [named]), *callbacks]
    given["plugins"] = [*(given["plugins"] or []), AtomicCheckpointIO()]
    given["logger"] = list(loggers) or False
    given["default_root_dir"] = str(run.folder)
    if given["enable_model_summary"] is None:
        given["enable_model_summary"] = False
    if not given["logger"]:
        given["enable_checkpointing"] = False
    torch.set_float32_matmul_precision("high")
    try:
        return Trainer(**given)
    except (TypeError, ValueError) as error:
        raise BadInput(f"trainer: {error}") from error


def fill_in(config: Any) -> None:
    """Settings that follow from the data or the device where the configuration leaves them open."""
    follow_data(config)
    if config.trainer.precision is None:
        config.trainer.precision = fastest_safe_precision(str(config.trainer.accelerator))


def follow_data(config: Any) -> None:
    """Sets what depends on the size of an ImageNet folder: classes, and the length of a run that names none."""
    if config.data.class_path != IMAGENET:
        return
    options = config.data.init_args
    iterations = ITERATIONS
    if size := size_of(Path(options.root), options.batch_size):  # else a missing folder is refused when it is read
        classes, iterations = size
        network = config.model.network.get("init_args", {})
        if "num_classes" in network:
            network.num_classes = classes
    if config.trainer.max_steps == -1:
        config.trainer.max_steps = iterations
    if config.trainer.val_check_interval is None:
        config.trainer.val_check_interval = max(1, config.trainer.max_steps // EVALUATIONS)


def check_settings(config: Any) -> None:
    """Refuses settings that make no sense before anything is written."""
    for name, value in (
        ("trainer.max_steps", config.trainer.max_steps),
        ("trainer.log_every_n_steps", config.trainer.log_every_n_steps),
        ("trainer.val_check_interval", config.trainer.val_check_interval),
        ("checkpoint_every", config.checkpoint_every),
    ):
        if isinstance(value, int | float) and value <= 0:
            raise BadInput(f"{name} {value}: expected a number of iterations, at least 1")
    if config.trainer.sync_batchnorm and config.model.batch_norm_images is not None:
        raise BadInput("trainer.sync_batchnorm normalises by all devices' images, model.batch_norm_images by fewer")
    # These would end a run early, or measure a part of a set, and the result would not say so.
    for name in ("fast_dev_run", "overfit_batches", "max_epochs", "max_time"):
        if config.trainer.get(name) not in (None, False, -1):
            raise BadInput(f"trainer.{name}: runs are shortened by --trainer.max_steps alone")
    for name in ("limit_train_batches", "limit_test_batches", "limit_predict_batches"):
        if config.trainer.get(name) is not None:
            raise BadInput(f"trainer.{name}: every image counts; runs are shortened by --trainer.max_steps alone")
