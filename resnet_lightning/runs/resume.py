"""How a run goes on exactly: after an interruption it ends with the weights and numbers that it would have had anyway.

Saved with each checkpoint, after an optimizer step and before the evaluation that is due at the same iteration:
Lightning saves the weights, the optimizer's state, its count of batches and the state of the callbacks (RunRecord's
training time among it); the training batches save their position (TrainingBatches, TrainingFiles), and ImageNet its
mean image. ExactResume adds
- `window`: losses and mistakes of every process since the last row of metrics.csv, so that the next row counts them,
- `unseen`: the same since the schedule's last look at the training error,
- `schedule`: what the learning rate has seen, such as the end of a warm-up,
- `evaluated`: the iteration of the last evaluation,
- `random`: the states of the generators, for networks that draw, as in dropout; every process draws the same.
Rows of CSV files are written out before a checkpoint is, and those after it are dropped when the run goes on.

Fetched again: order, crops and colours of the batches, which depend on seed, epoch and batch alone; the learning rate
and the optimizer's settings, which follow from the configuration and the iteration; the precision and the number of
threads, from run.json. Made up for: the evaluation that was due at the checkpoint's own iteration.
"""

import os
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer

from resnet_lightning.compat import run_validation
from resnet_lightning.data.repeatable import random_state, set_random_state
from resnet_lightning.errors import BadInput
from resnet_lightning.runs.checkpoints import checkpoints
from resnet_lightning.runs.folder import read_json
from resnet_lightning.training.module import Window


def take_as_many_threads(folder: Path) -> None:
    """As when the run was begun: on a CPU, the last bits of a sum depend on the number of threads."""
    threads = (read_json(folder / "run.json") or {}).get("threads")
    if isinstance(threads, int) and 0 < threads <= (os.cpu_count() or 1):
        torch.set_num_threads(threads)


def precision_of(folder: Path) -> str | None:
    """The precision in which the run in a folder goes on; None if there is nothing to go on from, or it is over."""
    if (folder / "result.json").exists() or not checkpoints(folder / "checkpoints"):
        return None
    return (read_json(folder / "run.json") or {}).get("precision")


def refuse_other_precision(folder: Path, precision: str, given: Any) -> None:
    """Raises BadInput if a run would go on in another precision than it began in, or begin in another than was given.

    Args:
        precision: of the Trainer: a CPU has no float16, and Lightning takes bfloat16 in its place.
        given: the configured one.
    """
    begun = precision_of(folder)
    if begun is None and str(given) in ("16", "16-mixed") and precision != "16-mixed":
        raise BadInput(f"trainer.precision {given}: this device would train in {precision}: give that, or leave it out")
    if begun not in (None, precision):
        raise BadInput(
            f"{folder} was begun in {begun}, and would go on in {precision}: leave --trainer.precision out, or use a "
            f"device that has {begun}"
        )


class ExactResume(Callback):
    """Saves and brings back what Lightning does not; the last of the callbacks, since it may start an evaluation."""

    def __init__(self) -> None:
        self.evaluated = 0  # the iteration at which the last evaluation was made
        self.schedule: dict[str, Any] = {}
        self.random: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["evaluated"] = self.evaluated
        checkpoint["schedule"] = pl_module.rate.state()
        checkpoint["random"] = random_states(trainer)
        checkpoint["window"] = of_all(pl_module, pl_module.window)
        checkpoint["unseen"] = of_all(pl_module, pl_module.unseen)
        for logger in trainer.loggers:
            logger.save()  # rows up to a checkpoint must not be lost with the process

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if trainer.precision == "64-true":  # Lightning has loaded the weights into float32: it converts the model later
            pl_module.double().load_state_dict(checkpoint["state_dict"])
        self.evaluated, self.schedule = checkpoint.get("evaluated", 0), checkpoint.get("schedule", {})
        self.random = checkpoint.get("random")
        window = checkpoint.get("window", [])
        pl_module.window = of_this(trainer, window)
        pl_module.unseen = of_this(trainer, checkpoint.get("unseen", window))  # once the schedule looked at each row

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        check_same_start(trainer, pl_module)
        known = pl_module.rate.state()
        vars(pl_module.rate).update({name: self.schedule[name] for name in known if name in self.schedule})
        pl_module.take_configured_settings()
        device = pl_module.device
        unseen = pl_module.unseen if pl_module.rate.looks_every else []
        pl_module.window, pl_module.unseen = (
            [tuple(value.to(device) for value in values) for values in window] for window in (pl_module.window, unseen)
        )
        if self.random is not None:
            set_random_states(trainer, self.random)
        if trainer.global_step and evaluation_is_due(trainer) and trainer.global_step != self.evaluated:
            run_validation(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.evaluated = trainer.global_step


def random_states(trainer: Trainer) -> dict[str, Any]:
    device = trainer.strategy.root_device
    on_gpu = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return random_state() | on_gpu


def set_random_states(trainer: Trainer, state: dict[str, Any]) -> None:
    set_random_state(state)
    device = trainer.strategy.root_device
    if "cuda" in state and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)


def of_all(pl_module: Any, window: Window) -> list[torch.Tensor]:
    """Each value of the iterations' [processes, iterations, ...], since only the first process writes."""
    stacked = [torch.stack(values) for values in zip(*window, strict=True)]
    sent = [values.byte() if values.dtype == torch.bool else values for values in stacked]
    return [pl_module.all_gather(values).view(-1, *values.shape) for values in sent]


def of_this(trainer: Trainer, saved: list[torch.Tensor]) -> Window:
    """This process's part of what of_all has made."""
    if not saved:
        return []
    rank = trainer.global_rank if len(saved[0]) == trainer.world_size else 0
    own = [value[rank] for value in saved]
    return list(zip(*(value.bool() if value.dtype == torch.uint8 else value for value in own), strict=True))


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
