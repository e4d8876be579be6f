"""Stopping a run from outside: it finishes its step, writes a checkpoint, and ends."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from resnet_lightning.errors import INTERRUPTED, Stopped, speaks_for_node
from resnet_lightning.runs.checkpoint_io import save_unless_whole
from resnet_lightning.runs.checkpoints import checkpoint_file

# Ctrl-C; what SLURM, kill and the study runner send; what `sbatch --signal` and submitit announce the time limit with;
# a closed terminal.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
ITERATIONS_BETWEEN_QUESTIONS = 10  # of several processes, which have to wait for each other to agree


class StopWhenAsked(Callback):
    """Takes the place of Lightning's handlers, which write a checkpoint in mid-step, or none.

    A second Ctrl-C ends the run at once. Putting a job of SLURM back into its queue, which ends all of its processes,
    is left to who started them: see experiments/clusters.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = os.getpid()
        self.asked = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.received_sigterm:  # since Lightning's handlers were installed
            self.asked = signal.SIGTERM
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, self._ask)  # Lightning restores what was there before

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.process:
            return  # a worker that loads images has to go on until this iteration is made; it ends with its process
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        before, self.asked = self.asked, self.asked or number
        if not before and speaks_for_node():
            with suppress(OSError):  # a closed terminal
                print(f"stopping after this iteration ({signal.Signals(number).name})", file=sys.stderr, flush=True)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        asked = self.asked  # may change at any moment, and all processes have to decide alike
        if trainer.world_size > 1:
            if trainer.global_step % ITERATIONS_BETWEEN_QUESTIONS:
                return
            of_all = torch.tensor(asked, device=trainer.strategy.root_device)
            asked = int(trainer.strategy.reduce(of_all, reduce_op="max"))
        if asked and trainer.global_step < trainer.max_steps:
            save_unless_whole(trainer, checkpoint_file(self.folder, trainer.global_step))
            raise Stopped(asked)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        # In the middle of an evaluation there is nothing new to save: a checkpoint is due before it, or soon after.
        if self.asked and trainer.world_size == 1 and trainer.state.fn == "fit":
            raise Stopped(self.asked)


@contextmanager
def interruptible() -> Iterator[None]:
    """Says how to go on where a run is stopped, and ends the process with the status of what stopped it."""
    try:
        yield
    except SystemExit as error:  # how Lightning ends after Ctrl-C, and, with status 0, after SIGTERM
        if speaks_for_node():
            with suppress(OSError):
                print(INTERRUPTED, file=sys.stderr)
        if isinstance(error, Stopped):
            raise
        sys.exit(143 if isinstance(error, SIGTERMException) else 130)
