"""The LightningModule around any network: loss, errors in percent, optimizer and schedule (sections 3.4 and 4.2)."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Literal

import torch
from lightning import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from resnet_lightning.data.views import Views
from resnet_lightning.errors import BadInput, Diverged
from resnet_lightning.networks import inspection
from resnet_lightning.networks.ghost import normalise_by
from resnet_lightning.schedules import Schedule
from resnet_lightning.training.batch_norm_statistics import average_statistics
from resnet_lightning.training.first_look import is_unfinished
from resnet_lightning.training.metrics import SetMetrics
from resnet_lightning.training.optimization import check_evaluations, length_of, make_optimizer, parameter_groups
from resnet_lightning.training.scores import class_scores
from resnet_lightning.training.view_scores import view_scores
from resnet_lightning.training.weights import take_weights

Batch = tuple[Tensor, Tensor]
EvaluationBatch = tuple[Views, Tensor, Tensor]  # images or views of them, labels [B], numbers of the images [B]


class Classifier(LightningModule):
    """Trains and evaluates a network on batches of images [B, C, H, W] and labels [B].

    Metrics go to the loggers under the number of completed iterations: train/loss, train/error (over the images since
    the last such row), lr and images_per_second every trainer.log_every_n_steps iterations, and loss and error of
    each evaluated set. Errors are in percent, and top-1 unless they are called otherwise.

    Args:
        network: turns images into class scores [B, classes].
        optimizer: SGD with momentum 0.9 in the paper.
        schedule: what the learning rate is multiplied with at each iteration.
        weight_decay_on: decay everything, or only the weights of convolutions and linear layers.
        channels_last: memory layout of weights and activations; the faster one on CPUs and on GPUs.
        compile: let torch.compile make the network faster: it takes a minute first and gains nothing on a CPU.
        top5: measure the top-5 error of evaluated sets too.
        bn_batches: before `test` and `predict`, replace batch normalisation's moving averages by plain averages over so
            many training batches, as the authors did; 0 keeps the moving averages.
        batch_norm_images: images over which batch normalisation takes its statistics while training, by default all
            of a device's: the same on one device as on several with so many images each.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable,
        schedule: Callable[[int], Schedule],
        weight_decay_on: Literal["everything", "weights"] = "everything",
        channels_last: bool = True,
        compile: bool = False,
        top5: bool = False,
        bn_batches: int = 0,
        batch_norm_images: int | None = None,
    ) -> None:
        super().__init__()
        if bn_batches < 0:
            raise BadInput(f"bn_batches {bn_batches}: expected a number of training batches, 0 or more")
        self.network = network
        self.channels_last = channels_last
        self.arrange_memory()
        if batch_norm_images is not None:
            normalise_by(self.network, batch_norm_images)
        if compile:
            self.network.compile()
        self.optimizer = optimizer
        self.schedule = schedule
        self.weight_decay_on = weight_decay_on
        self.bn_batches = bn_batches
        self.batch_norm_images = batch_norm_images
        self.train_metrics, self.val_metrics, self.test_metrics = SetMetrics(), SetMetrics(top5), SetMetrics(top5)
        self.unmirrored_metrics = SetMetrics(top5)
        # Losses [] and mistakes [B] since the last row. Metrics are updated once a row, not once a step: an update
        # costs as much as the optimizer step of a small network.
        self.window: list[tuple[Tensor, Tensor]] = []
        self.window_start = (0, 0.0)
        self.unseen: list[tuple[Tensor, Tensor]] = []  # the same since the schedule's last look, if it looks
        self.predicted = 0  # images so far, where batches do not number them
        self.trained = 0  # iterations of the checkpoint that was loaded

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

    def arrange_memory(self) -> None:
        if self.channels_last and not is_unfinished(self.network):
            self.network.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)  # type: ignore[no-any-return]

    def configure_optimizers(self) -> Any:
        groups = parameter_groups(self.network, self.weight_decay_on)
        optimizer = make_optimizer(self.optimizer, groups, self.trainer)
        self.iterations = length_of(self.trainer)
        self.rate = self.schedule(self.iterations)
        check_evaluations(self.rate, self.trainer)
        scheduler = LambdaLR(optimizer, [lambda iteration: self.rate(iteration)] * len(groups))
        self.settings = [{name: group[name] for name in group if name != "params"} for group in optimizer.param_groups]
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def training_step(self, batch: Batch) -> Tensor:
        images, labels = batch
        scores = class_scores(self.network, images)
        loss = F.cross_entropy(scores, labels)
        self.count(loss, scores.argmax(1) != labels)
        return loss

    def count(self, loss: Tensor, mistakes: Tensor) -> None:
        """What a training step has measured: the loss [], and which images of the batch were mistaken, bool [B]."""
        self.window.append((loss.detach(), mistakes))
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
            self.rate.observe(iteration, self._measure(self.unseen)["error"])
            self.unseen = []
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if iteration % every == 0 or iteration == self.iterations:
            self._log_window(iteration)
        scheduler.step()

    def _measure(self, window: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
        losses, mistakes = zip(*window, strict=True)
        self.train_metrics.update(torch.stack(losses).mean(), torch.cat(mistakes))
        return self.train_metrics.compute()  # the one place where training waits for the device

    def _log_window(self, iteration: int) -> None:
        # A last batch may be smaller than the others.
        values, batch = self._measure(self.window), max(len(mistakes) for _, mistakes in self.window)
        self.window = []
        if not math.isfinite(values["loss"]):
            raise Diverged(iteration, values["loss"])
        start, started = self.window_start
        now = time.perf_counter()
        images = (iteration - start) * batch * self.trainer.accumulate_grad_batches * self.trainer.world_size
        self.window_start = (iteration, now)
        row = {f"train/{name}": values[name] for name in ("loss", "error")}
        row["lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        row["images_per_second"] = images / (now - started)
        self._record(row)
        self.trainer.callback_metrics.update({name: torch.tensor(value) for name, value in row.items()})

    def validation_step(self, batch: EvaluationBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        views, labels, *_ = batch
        name = self.validation_sets()[dataloader_idx]
        self._metrics_of(name).evaluate(view_scores(self.network, views)[0], labels)

    def on_validation_epoch_end(self) -> None:
        for name in dict.fromkeys(self.validation_sets()):
            values = self._metrics_of(name).compute()
            if not self.trainer.sanity_checking:  # Lightning's look at some batches before training counts for nothing
                self._log_evaluation(name, values)

    def on_train_start(self) -> None:
        self.window_start = (self.trainer.global_step, time.perf_counter())

    def on_validation_end(self) -> None:
        self.window_start = (self.trainer.global_step, time.perf_counter())  # evaluation is not training time

    def on_test_start(self) -> None:
        if self.bn_batches:
            average_statistics(self.network, self._training_images(self.bn_batches))

    def on_predict_start(self) -> None:
        self.on_test_start()
        self.predicted = 0

    def _training_images(self, batches: int) -> Iterator[Tensor]:
        loader = self.trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
        for batch in islice(loader, batches):
            images, _ = self.trainer.strategy.batch_to_device(batch)
            with self.trainer.precision_plugin.forward_context():
                yield images

    def test_step(self, batch: EvaluationBatch) -> None:
        views, labels, *_ = batch
        scores, unmirrored = view_scores(self.network, views)
        self.test_metrics.evaluate(scores, labels)
        if unmirrored is not None:
            self.unmirrored_metrics.evaluate(unmirrored, labels)

    def on_test_epoch_end(self) -> None:
        values = self.test_metrics.compute()
        if unmirrored := self.unmirrored_metrics.compute():
            values |= {f"{name}_without_flips": value for name, value in unmirrored.items() if name != "images"}
        self._log_evaluation("test", values)

    def predict_step(self, batch: EvaluationBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Class probabilities [B, classes], labels [B], and the images' numbers [B]."""
        views, labels, *numbers = batch
        if not numbers:  # a loader of the user's own: in order, one process
            if self.trainer.world_size > 1:
                raise BadInput("predict on several devices needs the images' numbers as the third part of each batch")
            numbers = [torch.arange(self.predicted, self.predicted + len(labels))]
            self.predicted += len(labels)
        return view_scores(self.network, views)[0].float().softmax(1), labels, numbers[0]

    def validation_sets(self) -> list[str]:
        """What is evaluated during training, in the order of the loaders: val, test, or both."""
        loaders = self.trainer.val_dataloaders
        if isinstance(loaders, Mapping):
            return list(loaders)
        return ["val"] * (len(loaders) if isinstance(loaders, list) else 1)  # several count as one

    def _metrics_of(self, name: str) -> SetMetrics:
        return self.test_metrics if name == "test" else self.val_metrics

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
