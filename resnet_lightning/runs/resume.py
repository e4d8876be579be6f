"""How a run goes on exactly: after an interruption it ends with the weights and numbers that it would have had anyway.

Saved with each checkpoint, after an optimizer step and before the evaluation that is due at the same iteration:
Lightning saves the weights, the optimizer's state, its count of batches and the state of the callbacks (RunRecord's
training time among it); the training batches save their position (TrainingBatches, TrainingFiles), and ImageNet its
mean image. ExactResume adds
- `window`: losses and mistakes of every process since the last row of metrics.csv, so that the next row counts them,
- `schedule`: what the learning rate has seen, such as the end of a warm-up,
- `evaluated`: the iteration of the last evaluation.
Rows of CSV files are written out before a checkpoint is, and those after it are dropped when the run goes on.

Fetched again: order, crops and colours of the batches, which depend on seed, epoch and batch alone; the learning rate
and the optimizer's settings, which follow from the configuration and the iteration; the number of threads, from
run.json. Made up for: the evaluation that was due at the checkpoint's own iteration.
"""

import os
import time
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer

from resnet_lightning.compat import run_validation
from resnet_lightning.runs.folder import read_json


def take_as_many_threads(folder: Path) -> None:
    """As when the run was begun: on a CPU, the last bits of a sum depend on the number of threads."""
    threads = (read_json(folder / "run.json") or {}).get("threads")
    if isinstance(threads, int) and 0 < threads <= (os.cpu_count() or 1):
        torch.set_num_threads(threads)


class ExactResume(Callback):
    """Saves and brings back what Lightning does not; the last of the callbacks, since it may start an evaluation."""

    def __init__(self) -> None:
        self.evaluated = 0  # the iteration at which the last evaluation was made
        self.schedule: dict[str, Any] = {}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["evaluated"] = self.evaluated
        checkpoint["schedule"] = pl_module.rate.state()
        if pl_module.window:
            # Of every process, since only the first one writes: [processes, iterations] and [processes, iterations, B].
            losses, mistakes = (torch.stack(values) for values in zip(*pl_module.window, strict=True))
            everywhere: list[Any] = [pl_module.all_gather(losses), pl_module.all_gather(mistakes.byte())]
            checkpoint["window"] = [everywhere[0].view(-1, *losses.shape), everywhere[1].view(-1, *mistakes.shape)]
        for logger in trainer.loggers:
            logger.save()  # rows up to a checkpoint must not be lost with the process

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self.evaluated, self.schedule = checkpoint.get("evaluated", 0), checkpoint.get("schedule", {})
        if window := checkpoint.get("window"):
            rank = trainer.global_rank if len(window[0]) == trainer.world_size else 0
            pl_module.window = list(zip(window[0][rank], window[1][rank].bool(), strict=True))

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        check_same_start(trainer, pl_module)
        known = pl_module.rate.state()
        vars(pl_module.rate).update({name: self.schedule[name] for name in known if name in self.schedule})
        pl_module.take_configured_settings()
        pl_module.window = [(loss.to(pl_module.device), wrong.to(pl_module.device)) for loss, wrong in pl_module.window]
        pl_module.window_start = (trainer.global_step, time.perf_counter())
        if trainer.global_step and evaluation_is_due(trainer) and trainer.global_step != self.evaluated:
            run_validation(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.evaluated = trainer.global_step


def check_same_start(trainer: Trainer, pl_module: Any) -> None:
    """Raises RuntimeError where a node does not see the others' files yet, or has another folder."""
    if trainer.world_size > 1:
        begun = pl_module.all_gather(torch.tensor(trainer.global_step, device=pl_module.device)).tolist()
        if len(set(begun)) > 1:
            raise RuntimeError(f"the processes of this run would go on from different iterations: {begun}")


def evaluation_is_due(trainer: Trainer) -> bool:
    """Whether an undisturbed run evaluates at this iteration; Lightning counts batches, and one may take several."""
    every = trainer.val_check_interval
    return isinstance(every, int) and (trainer.fit_loop.epoch_loop.total_batch_idx + 1) % every == 0
