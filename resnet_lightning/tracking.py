"""Weights & Biases through Lightning's logger: never a question, never a wait; the run folder is the source."""

import os
from pathlib import Path

import wandb
from lightning.pytorch.loggers import WandbLogger

PROJECT = "resnet_lightning"


def wandb_logger(folder: Path, experiment: str, changes: list[str], seed: int, network: str) -> WandbLogger:
    """A logger that goes on with the folder's W&B run if there is one.

    Grouped by experiment, named by network and seed, tagged by the table or figure. Without a key it writes into the
    folder, for `wandb sync`; the environment variable WANDB_MODE (online, offline, disabled) overrides that.
    """
    settings = wandb.Settings(console="off", silent=True, save_code=False)
    if "WANDB_MODE" not in os.environ and not wandb.login(prompt=False, verify=False):
        settings.mode = "offline"
    tag = experiment.split("/")[-2] if "/" in experiment else experiment
    logger = WandbLogger(
        project=PROJECT,
        save_dir=str(folder),
        id=earlier_run(folder),
        group=",".join([experiment, *changes]),
        name=f"{network} seed {seed}",
        tags=[tag],
        resume="allow",
        settings=settings,
    )
    del logger._wandb_init["anonymous"]  # Lightning still passes it, and wandb warns of it every time
    return logger


def earlier_run(folder: Path) -> str | None:
    """The id of the W&B run that was begun in this folder: the last part of its folder's name."""
    runs = sorted((folder / "wandb").glob("*run-*-*"))
    return runs[0].name.rpartition("-")[2] if runs else None
