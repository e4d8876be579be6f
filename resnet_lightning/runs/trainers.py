"""The Trainer of a run: which of Lightning's settings make sense for one, and what every run adds to them."""

import math
import os
import shutil
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.pytorch.loggers import Logger

from resnet_lightning.data.protocol import facts
from resnet_lightning.errors import BadInput
from resnet_lightning.runs.checkpoint_io import AtomicCheckpointIO
from resnet_lightning.runs.ending import WatchedTrainer
from resnet_lightning.runs.identity import entry, listed
from resnet_lightning.runs.naming import split_options
from resnet_lightning.training.devices import fastest_safe_precision

EVALUATIONS = 20  # of a run that the command line shortens, at most, and of one that does not say when to evaluate
# These would end a run early, measure a part of a set, or change what is trained, and the result would not say so.
REFUSED = {
    "overfit_batches max_epochs max_time": "runs are shortened by --trainer.max_steps alone",
    "default_root_dir": "--run names the folder of a run",
    "reload_dataloaders_every_n_epochs": "batches are drawn anew in every epoch; loaded again, they would repeat",
    "barebones": "a run has checkpoints and metrics",
}


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
    if given["num_sanity_val_steps"] is None:
        given["num_sanity_val_steps"] = 0
    if isinstance(given["val_check_interval"], int):
        given["check_val_every_n_epoch"] = None  # iterations are counted on over the epochs
    if not given["logger"]:
        given["enable_checkpointing"] = False
    compiler = os.environ.get("CXX", "c++")
    if run.config.model.get("compile") and not shutil.which(compiler):
        raise BadInput(f"model.compile needs a C++ compiler, and there is no {compiler}: install g++, or leave it out")
    torch.set_float32_matmul_precision("high")
    try:
        return WatchedTrainer(**given)
    except (TypeError, ValueError, ImportError, RuntimeError) as error:
        raise BadInput(f"trainer: {error}") from error


def fill_in(config: Any, arguments: Sequence[str] = ()) -> None:
    """Settings that follow from the data, the device or the length of a run where the configuration leaves them open.

    Args:
        arguments: of the command line that the configuration is of.
    """
    trainer = config.trainer
    known = facts(config.data.class_path, config.data.get("init_args") or {})
    network = config.model.network.get("init_args") or {}
    if known and known.classes and "num_classes" in network:
        network["num_classes"] = known.classes
    if known and trainer.max_steps == -1:
        trainer.max_steps = known.iterations
    if trainer.precision is None:
        trainer.precision = fastest_safe_precision(str(trainer.accelerator))
    given = dict(split_options(arguments))
    few = max(1, math.ceil(trainer.max_steps / EVALUATIONS))
    if trainer.val_check_interval is None:
        trainer.val_check_interval = max(1, trainer.max_steps // known.evaluations) if known else few
        given.pop("trainer.val_check_interval", None)
    if "trainer.max_steps" in given and "trainer.val_check_interval" not in given:
        trainer.val_check_interval = max(trainer.val_check_interval, few)


def check_settings(config: Any, command: str) -> None:
    """Refuses settings that make no sense before anything is written."""
    trainer = config.trainer
    for name, value in (
        ("trainer.max_steps", trainer.max_steps),
        ("trainer.log_every_n_steps", trainer.log_every_n_steps),
        ("trainer.val_check_interval", trainer.val_check_interval),
        ("checkpoint_every", config.checkpoint_every),
    ):
        if value is not None and (not isinstance(value, int) or value <= 0):
            raise BadInput(f"{name} {value}: expected a number of iterations, at least 1")
    if trainer.sync_batchnorm and config.model.get("batch_norm_images") is not None:
        raise BadInput("trainer.sync_batchnorm normalises by all devices' images, model.batch_norm_images by fewer")
    for names, reason in REFUSED.items():
        for name in names.split():
            if trainer.get(name) not in (None, False, -1, 0):
                raise BadInput(f"trainer.{name}: {reason}")
    for name in ("limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches"):
        if trainer.get(name) is not None:
            raise BadInput(f"trainer.{name}: every image counts; runs are shortened by --trainer.max_steps alone")
    if trainer.enable_checkpointing is False:
        raise BadInput("trainer.enable_checkpointing: a run needs checkpoints to go on; --checkpoint_every says when")
    if any("StochasticWeightAveraging" in entry(callback)["class_path"] for callback in listed(trainer.callbacks)):
        raise BadInput(
            "trainer.callbacks: StochasticWeightAveraging begins at an epoch, and runs are counted in iterations: "
            "EMAWeightAveraging averages by iterations"
        )
    for name in ("BatchSizeFinder", "LearningRateFinder"):
        if any(name in entry(callback)["class_path"] for callback in listed(trainer.callbacks)):
            raise BadInput(f"trainer.callbacks: {name} changes what is trained, and the run's name would not say how")
    strategy = str(trainer.strategy)
    if any(kind in strategy for kind in ("spawn", "fork", "notebook")):
        raise BadInput(
            f"trainer.strategy {strategy}: it trains in processes whose result this one does not see: use ddp"
        )
    if trainer.fast_dev_run and command != "fit":
        raise BadInput(f"trainer.fast_dev_run: it is for fit, and {command} looks at every image")
