"""Weights & Biases through Lightning's logger: never a question, never a wait; the run folder is the source."""

import os
import secrets
import sys
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger

from resnet_lightning.compat import record_offline, without_anonymous
from resnet_lightning.errors import BadInput
from resnet_lightning.networks import inspection
from resnet_lightning.runs.command_line import PreparedRun

PROJECT = "resnet_lightning"
SECONDS_TO_CONNECT = 8.0  # wandb's own limit is 90
SECONDS_TO_FINISH = 60.0  # wandb's own is none: a network lost while training would hold the finished run for ever


class Tracker(WandbLogger):
    """A WandbLogger whose run is recorded offline if the server cannot be reached or refuses it."""

    @property
    def experiment(self) -> Any:
        try:
            return super().experiment
        except wandb.Error as error:
            warn_offline(error)
            wandb.teardown()  # or else wandb's process says that this run is going on
            record_offline(self)
            return super().experiment

    def summarise(self, values: dict[str, Any]) -> None:
        """Adds to the run's row in the table of runs, whose metrics have their last values there anyway."""
        self.experiment.summary.update(values)

    def close(self) -> None:
        """Sends what is left, and ends wandb's own process."""
        wandb.finish()


def track(run: PreparedRun) -> Tracker:
    """The logger of a prepared run, which goes on with the folder's W&B run if there is one.

    Grouped by experiment, named by network and seed, tagged by the table or figure. Without a key it writes into the
    folder, for `wandb sync`; the environment variable WANDB_MODE (online, offline, disabled) overrides that.
    """
    mode = os.environ.get("WANDB_MODE")
    if mode not in (None, "online", "offline", "disabled"):
        raise BadInput(f"WANDB_MODE {mode}: expected online, offline or disabled")
    settings = wandb.Settings(
        console="off",
        silent=True,
        save_code=False,
        init_timeout=SECONDS_TO_CONNECT,
        finish_timeout=SECONDS_TO_FINISH,
    )
    if mode is None and not has_key():
        settings.mode = "offline"
    tag = run.experiment.split("/")[-2] if "/" in run.experiment else run.experiment
    logger = Tracker(
        project=PROJECT,
        save_dir=str(run.folder.absolute()),  # for wandb's own process, which may be elsewhere
        id=earlier_run(run.folder) or secrets.token_hex(4),
        group=",".join([run.experiment, *run.changes]),
        job_type="train",
        name=f"{inspection.name(run.model.network)} seed {run.seed}",
        tags=[tag],
        resume="allow",
        settings=settings,
    )
    without_anonymous(logger)
    return logger


def has_key() -> bool:
    """Whether there is a key for W&B, right or wrong; it is not tried."""
    wandb.setup(wandb.Settings(silent=True))  # or else the login asks the server who this is, to print it
    try:
        return wandb.login(prompt=False, verify=False)
    except wandb.Error as error:  # not even in the form of a key
        warn_offline(error)
        return False


def warn_offline(error: Exception) -> None:
    reason = " ".join(str(error).split())
    print(f"offline, since Weights & Biases cannot be used: {reason}", file=sys.stderr, flush=True)


def earlier_run(folder: Path) -> str | None:
    """The id of the W&B run that was begun in this folder: its folder is [offline-]run-<time>-<id>[-<number>]."""
    runs = sorted((folder / "wandb").glob("*run-*-*"))
    return runs[0].name.partition("run-")[2].split("-")[1] if runs else None
