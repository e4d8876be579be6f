"""How training may end: a run is finished when its iterations are done, and not when something else has ended it."""

import inspect
from pathlib import Path
from typing import Any

from lightning import Callback, LightningDataModule, LightningModule, Trainer

from resnet_lightning.errors import EndedEarly
from resnet_lightning.runs.checkpoint_io import save_unless_whole
from resnet_lightning.runs.checkpoints import checkpoint_file


class WatchedTrainer(Trainer):
    """A Trainer that remembers who has asked it to stop: EarlyStopping, a Timer, any callback or module."""

    stopping = False
    stopped_by = ""

    @property
    def should_stop(self) -> bool:
        return self.stopping

    @should_stop.setter
    def should_stop(self, value: bool) -> None:
        if value and not self.stopping:
            self.stopped_by = name_of_caller()
        self.stopping = bool(value)


def name_of_caller() -> str:
    """The class of the callback or module that is being called; empty if it is none."""
    frame = inspect.currentframe()
    while frame := frame.f_back if frame else None:
        who = frame.f_locals.get("self")
        if isinstance(who, Callback | LightningModule | LightningDataModule):
            return type(who).__name__
    return ""


def refuse_early_end(trainer: Any, folder: Path, iterations: int) -> None:
    """Saves a checkpoint and raises EndedEarly unless the iterations of a run are done.

    Args:
        iterations: as they were planned; a callback may have changed the Trainer's own.
    """
    done = trainer.global_step
    if done == iterations:
        return
    if done:
        save_unless_whole(trainer, checkpoint_file(folder, done))
    if done > iterations:
        raise EndedEarly(f"{folder}: training went on to iteration {done:,}, {iterations:,} were planned: no result")
    who = getattr(trainer, "stopped_by", "")
    again = f", where {who} may stop it again" if who else ""
    raise EndedEarly(
        f"{folder}: {who or 'something'} stopped the training at iteration {done:,} of {iterations:,}: no result; the "
        f"same command goes on from there{again}"
    )
