"""How far the run is: one bar over all iterations on a terminal, a line at each evaluation in a log file."""

import sys
import time
from datetime import timedelta
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from resnet_lightning.networks import inspection

SECONDS_BETWEEN_REFRESHES = 0.5


class Progress(ProgressBar):
    """Lightning's bars start again every epoch and know the time left of the epoch only; users wait for the run."""

    def __init__(self) -> None:
        super().__init__()
        self.bar: RichProgress | None = None
        self.enabled = True
        self.started = 0.0
        self.first = 0
        self.refreshed = 0.0
        self.errors = ""

    def disable(self) -> None:
        self.enabled = False

    def enable(self) -> None:
        self.enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started, self.first = time.monotonic(), trainer.global_step
        if self.enabled and trainer.is_global_zero and sys.stderr.isatty():
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(elapsed_when_finished=True),
                TextColumn("{task.fields[errors]}"),
            )
            self.bar = RichProgress(*columns, console=Console(stderr=True), auto_refresh=False)
            self.bar.start()
            network: Any = pl_module.network
            self.bar.add_task(inspection.name(network), total=trainer.max_steps, completed=self.first, errors="")

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if self.bar and time.monotonic() - self.refreshed > SECONDS_BETWEEN_REFRESHES:
            self._refresh(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.state.fn != "fit" or not self.enabled or not trainer.is_global_zero:
            return
        metrics = trainer.callback_metrics
        self.errors = ", ".join(
            f"{name.partition('/')[0]} {pl_module.measure} {float(value):.2f} %"
            for name, value in metrics.items()
            if name.endswith(f"/{pl_module.measure}")
        )
        if self.bar:
            self._refresh(trainer)
            return
        done, total = trainer.global_step, trainer.max_steps
        left = ""
        if done > self.first:  # an evaluation that is made up for tells nothing of this session's speed
            seconds = (time.monotonic() - self.started) / (done - self.first) * (total - done)
            left = f", {timedelta(seconds=round(seconds))} left"
        print(f"iteration {done:,} of {total:,}: {self.errors}{left}", flush=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close(trainer)

    def _refresh(self, trainer: Trainer) -> None:
        self.refreshed = time.monotonic()
        if self.bar:
            self.bar.update(self.bar.task_ids[0], completed=trainer.global_step, errors=self.errors)
            self.bar.refresh()

    def _close(self, trainer: Trainer) -> None:
        if self.bar:
            self._refresh(trainer)
            self.bar.stop()
            self.bar = None
