"""The LightningModule around any network: loss, errors in percent, optimizer and schedule (sections 3.4 and 4.2)."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Literal

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lightning.data.protocol import first_images
from resnet_lightning.data.views import Views
from resnet_lightning.errors import BadInput
from resnet_lightning.networks.ghost import normalise_by
from resnet_lightning.schedules import Schedule
from resnet_lightning.training.batch_norm_statistics import average_statistics
from resnet_lightning.training.first_look import is_unfinished, try_network
from resnet_lightning.training.metrics import SetMetrics
from resnet_lightning.training.module import NetworkModule, Window
from resnet_lightning.training.scores import class_scores
from resnet_lightning.training.view_scores import view_scores

Batch = tuple[Tensor, Tensor]
EvaluationBatch = tuple[Views, Tensor, Tensor]  # images or views of them, labels [B], numbers of the images [B]


class Classifier(NetworkModule):
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

    other_measures = ("top5_error",)

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
        super().__init__(network, optimizer, schedule, weight_decay_on)
        if bn_batches < 0:
            raise BadInput(f"bn_batches {bn_batches}: expected a number of training batches, 0 or more")
        self.channels_last = channels_last
        self.arrange_memory()
        if batch_norm_images is not None:
            normalise_by(self.network, batch_norm_images)
        if compile:
            self.network.compile()
        self.bn_batches = bn_batches
        self.batch_norm_images = batch_norm_images
        self.train_metrics, self.val_metrics, self.test_metrics = SetMetrics(), SetMetrics(top5), SetMetrics(top5)
        self.unmirrored_metrics = SetMetrics(top5)
        self.predicted = 0  # images so far, where batches do not number them

    def arrange_memory(self) -> None:
        if self.channels_last and not is_unfinished(self.network):
            self.network.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)  # type: ignore[no-any-return]

    def training_step(self, batch: Batch) -> Tensor:
        images, labels = batch
        scores = class_scores(self.network, images)
        loss = F.cross_entropy(scores, labels)
        self.count(loss, scores.argmax(1) != labels)
        return loss

    def count(self, loss: Tensor, mistakes: Tensor) -> None:
        """What a training step has measured: the loss [], and which images of the batch were mistaken, bool [B]."""
        self.keep(loss.detach(), mistakes)

    def measured(self, window: Window) -> dict[str, float]:
        losses, mistakes = zip(*window, strict=True)
        self.train_metrics.update(torch.stack(losses).mean(), torch.cat(mistakes))
        return {name: value for name, value in self.train_metrics.compute().items() if name != "images"}

    def images_of(self, window: Window) -> int:
        return max(len(mistakes) for _, mistakes in window)  # a last batch may be smaller

    def try_out(self, data: Any, classes: int | None) -> None:
        """Raises BadInput if the network has no scores for the images of the data; steps of the user's own are theirs.

        Args:
            classes: of the data, if it is known without reading it.
        """
        if type(self).training_step is not Classifier.training_step:
            return
        images, labels = first_images(data, self.batch_norm_images or 2)
        known = classes or len(getattr(data, "classes", ()))
        try_network(self.network, images, known if labels is None else int(labels.max()) + 1)

    def validation_step(self, batch: EvaluationBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        views, labels, *_ = batch
        name = self.validation_sets()[dataloader_idx]
        self._metrics_of(name).evaluate(view_scores(self.network, views)[0], labels)

    def on_validation_epoch_end(self) -> None:
        for name in dict.fromkeys(self.validation_sets()):
            values = self._metrics_of(name).compute()
            if not self.trainer.sanity_checking:  # Lightning's look at some batches before training counts for nothing
                self._log_evaluation(name, values)

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

    def _metrics_of(self, name: str) -> SetMetrics:
        return self.test_metrics if name == "test" else self.val_metrics
