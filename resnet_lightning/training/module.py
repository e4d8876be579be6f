"""What every LightningModule of this package shares: a network, trained by iterations, and its rows of metrics.csv."""

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from lightning import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from resnet_lightning.errors import BadInput, Diverged
from resnet_lightning.networks import inspection
from resnet_lightning.schedules import Schedule
from resnet_lightning.training.optimization import check_evaluations, length_of, make_optimizer, parameter_groups
from resnet_lightning.training.weights import take_weights

Window = list[tuple[Tensor, ...]]  # what each iteration has measured, of equal shapes, since the last row


class NetworkModule(LightningModule):
    """A network with its optimizer and schedule. Classifier and Detector add their steps, and say what they measure.

    Metrics go to the loggers under the number of completed iterations: those of the training images since the last such
    row, lr and images_per_second every trainer.log_every_n_steps iterations, and those of each evaluated set.

    Args:
        network: what is trained.
        optimizer: SGD with momentum 0.9 in the paper.
        schedule: what the learning rate is multiplied with at each iteration.
        weight_decay_on: decay everything, or only the weights of convolutions and linear layers.
    """

    measure = "error"  # of evaluated sets, in percent: what results and the progress say
    higher_is_better = False
    other_measures: tuple[str, ...] = ()  # which the result keeps too
    train_measure = "error"  # of the training images
    bn_batches = 0
    batch_norm_images: int | None = None

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable,
        schedule: Callable[[int], Schedule],
        weight_decay_on: Literal["everything", "weights"] = "everything",
    ) -> None:
        super().__init__()
        self.network = network
        self.optimizer = optimizer
        self.schedule = schedule
        self.weight_decay_on = weight_decay_on
        # Metrics are updated once a row, not once a step: an update costs as much as the optimizer step of a small
        # network.
        self.window: Window = []
        self.window_start = (0, 0.0)
        self.unseen: Window = []  # the same since the schedule's last look, if it looks
        self.trained = 0  # iterations of the checkpoint that was loaded

    @abstractmethod
    def measured(self, window: Window) -> dict[str, float]:
        """What some iterations have measured, the loss among it, as a row names it; waits for the device."""

    @abstractmethod
    def images_of(self, window: Window) -> int:
        """Images of one iteration on this device."""

    def arrange_memory(self) -> None:
        """The layout of the weights in memory, once all are there."""

    def initialise(self, read: Callable[[str], Any], data: Any) -> None:
        """What a run begins with beside what was drawn when the network was made; see Detector."""

    def try_out(self, data: Any, classes: int | None) -> None:
        """A first look at the data, before anything is written; raises BadInput if the network does not fit it.

        Args:
            classes: of the data, if it is known without reading it.
        """

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, *args: Any, **settings: Any) -> Any:
        """The module of a run's checkpoint, as Lightning does it: its settings, those given here, and the weights.

        Raises:
            BadInput: for a checkpoint without settings, of a version before 0.2 or a script, if too few are given.
        """
        try:
            return super().load_from_checkpoint(checkpoint_path, *args, **settings)
        except TypeError as error:
            raise BadInput(
                f"{checkpoint_path} does not say how its {cls.__name__} is made ({error}): give network=..., "
                "optimizer=... and schedule=..., or call resnet_lightning.load_run for a run's network"
            ) from error

    def configure_optimizers(self) -> Any:
        groups = parameter_groups(self.network, self.weight_decay_on)
        optimizer = make_optimizer(self.optimizer, groups, self.trainer)
        self.iterations = length_of(self.trainer)
        self.rate = self.schedule(self.iterations)
        check_evaluations(self.rate, self.trainer)
        scheduler = LambdaLR(optimizer, [lambda iteration: self.rate(iteration)] * len(groups))
        self.settings = [{name: group[name] for name in group if name != "params"} for group in optimizer.param_groups]
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def keep(self, *values: Tensor) -> None:
        """Keeps what a training step has measured, for the next row; does not wait for the device."""
        self.window.append(values)
        if self.rate.looks_every:
            self.unseen.append(self.window[-1])

    def take_configured_settings(self) -> None:
        """torch takes the learning rate, momentum and weight decay of a checkpoint, whatever the configuration says."""
        optimizer, scheduler = self.trainer.optimizers[0], self.trainer.lr_scheduler_configs[0].scheduler
        scheduler.base_lrs = [settings["initial_lr"] for settings in self.settings]
        for group, settings in zip(optimizer.param_groups, self.settings, strict=True):
            group.update(settings, lr=settings["initial_lr"] * self.rate(self.trainer.global_step))

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        # The schedule may depend on the training error, so it is told that first. Both, and the row, come before a
        # checkpoint can be written: on_train_batch_end of this module comes after the checkpoint's.
        iteration = self.trainer.global_step
        if not self.window:
            raise BadInput(
                f"{type(self).__name__}.training_step measures nothing: call self.count(loss, mistakes) in it"
            )
        if self.rate.looks_every and iteration % self.rate.looks_every == 0:
            self.rate.observe(iteration, self.measured(self.unseen)["error"])
            self.unseen = []
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if iteration % every == 0 or iteration == self.iterations:
            self._log_window(iteration)
        scheduler.step()

    def _log_window(self, iteration: int) -> None:
        values, batch = self.measured(self.window), self.images_of(self.window)
        self.window = []
        if not math.isfinite(values["loss"]):
            raise Diverged(iteration, values["loss"])
        start, started = self.window_start
        now = time.perf_counter()
        images = (iteration - start) * batch * self.trainer.accumulate_grad_batches * self.trainer.world_size
        self.window_start = (iteration, now)
        row = {f"train/{name}": value for name, value in values.items()}
        row["lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        row["images_per_second"] = images / (now - started)
        self._record(row)
        self.trainer.callback_metrics.update({name: torch.tensor(value) for name, value in row.items()})

    def on_train_start(self) -> None:
        self.window_start = (self.trainer.global_step, time.perf_counter())

    def on_validation_end(self) -> None:
        self.window_start = (self.trainer.global_step, time.perf_counter())  # evaluation is not training time

    def validation_sets(self) -> list[str]:
        """What is evaluated during training, in the order of the loaders: val, test, or both."""
        loaders = self.trainer.val_dataloaders
        if isinstance(loaders, Mapping):
            return list(loaders)
        return ["val"] * (len(loaders) if isinstance(loaders, list) else 1)  # several count as one

    def _log_evaluation(self, name: str, values: dict[str, float]) -> None:
        if not values:
            raise BadInput("all images that were to be evaluated are damaged")
        row = {f"{name}/{key}": value for key, value in values.items()}
        # For callbacks, and for the table that `test` and `validate` print of what would go to loggers.
        self.log_dict(row, logger=not self.trainer.loggers, sync_dist=True)
        self._record({key: value for key, value in row.items() if not key.endswith("/images")})
        if name == "val" and self.trainer.state.fn == "fit":
            iteration, every = self.trainer.global_step, self.rate.evaluates_every
            if every and iteration % every == 0:
                self.rate.observe_validation(iteration, values["error"])

    def _record(self, row: dict[str, float]) -> None:
        # Not self.log: its step is the batch's number, one less than the iterations completed.
        for logger in self.trainer.loggers:
            logger.log_metrics(row, step=self.trainer.global_step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["network"] = inspection.name(self.network)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises BadInput for the weights of another network, saying which the checkpoint holds."""
        take_weights(checkpoint, self.network)
        attached = self._trainer is not None and self.trainer.state.fn == "fit"
        if attached and "optimizer_states" not in checkpoint:
            raise BadInput(f"{self.trainer.ckpt_path} holds weights alone, and fit goes on from a whole checkpoint")
        self.trained = checkpoint.get("global_step", 0)
