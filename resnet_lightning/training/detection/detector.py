"""The LightningModule around a detector: its four losses, trained together, and its average precision (section 4.3)."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from resnet_lightning.data.protocol import evaluation
from resnet_lightning.errors import BadInput
from resnet_lightning.networks import inspection
from resnet_lightning.networks.detection import FasterRCNN
from resnet_lightning.schedules import Schedule
from resnet_lightning.training.detection.average_precision import IMPROVED, Measured, measure, metric_of
from resnet_lightning.training.detection.initialisation import calibrate, take_over
from resnet_lightning.training.module import NetworkModule, Window
from resnet_lightning.training.weights import Pretrained

Boxes = dict[str, Tensor]
Batch = tuple[list[Tensor], list[Boxes]]
LOSSES = ("loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg")
PICTURES = 8  # tested images that are kept to be looked at


class Detector(NetworkModule):
    """Trains and evaluates a detector on images of any size and the boxes in them; see data/detection.

    Metrics go to the loggers as those of Classifier do: train/loss, the sum of the four losses, and each of them; and
    mAP in percent of each evaluated set, by the rules that the data module names.

    Args:
        network: the detector.
        optimizer: SGD with momentum 0.9 in the paper.
        schedule: what the learning rate is multiplied with at each iteration; it can look at no error.
        weight_decay_on: decay everything, or only the weights of convolutions and linear layers.
        pretrained: the run of classification whose weights it begins with, by its folder or checkpoint, or a file of
            torchvision's weights; null to begin from scratch.
    """

    measure = "mAP"
    higher_is_better = True
    other_measures = ("mAP50",)
    train_measure = "loss"

    def __init__(
        self,
        network: FasterRCNN,
        optimizer: OptimizerCallable,
        schedule: Callable[[int], Schedule],
        weight_decay_on: Literal["everything", "weights"] = "everything",
        pretrained: str | None = None,
    ) -> None:
        super().__init__(network, optimizer, schedule, weight_decay_on)
        self.network: FasterRCNN
        self.pretrained = pretrained
        if pretrained is None:
            network.name = f"{inspection.name(network)} from scratch"
        self.found: dict[str, list[tuple[Boxes, Boxes]]] = {}  # what is there and what is detected, by set
        self.pictures: list[tuple[Tensor, Boxes, Boxes]] = []  # the same of the first tested images, and their pixels
        self.measured_last: Measured | None = None

    def initialise(self, read: Callable[[str], Pretrained], data: Any) -> None:
        """Gives the network what a run begins with: the pretrained weights, or measured statistics of normalisation.

        Args:
            read: reads the file of a run.
            data: set up for training.
        """
        if self.pretrained is None:
            calibrate(self.network, data)
            return
        try:
            take_over(self.network, read(self.pretrained))
        except BadInput as error:
            raise BadInput(f"model.pretrained {self.pretrained}: {error}") from error

    def try_out(self, data: Any, classes: int | None) -> None:
        """Raises BadInput for data that are no images with boxes, or of another number of classes."""
        metric_of(data)
        if (how := evaluation(data)) in IMPROVED:
            raise BadInput(f"data.evaluation {how}: leave it out here, and give it to `test` with a checkpoint")
        if data.num_classes != self.network.num_classes:
            raise BadInput(
                f"num_classes {self.network.num_classes}: the data has {data.num_classes - 1} classes and the "
                f"background, --model.network.init_args.num_classes={data.num_classes}"
            )

    def configure_optimizers(self) -> Any:
        made = super().configure_optimizers()
        if self.rate.looks_every or self.rate.evaluates_every:
            raise BadInput(f"{type(self.rate).__name__} looks at errors in percent, and a detector has none")
        return made

    def forward(self, images: list[Tensor]) -> Any:
        return self.network(images)

    def training_step(self, batch: Batch) -> Tensor:
        # Anchors and regions are sampled by chance, and how much is drawn depends on the images: seeded anew at every
        # batch, each process draws the same when a run goes on.
        place = (self.trainer.fit_loop.total_batch_idx, self.trainer.global_rank)
        seed = getattr(self.trainer.datamodule, "seed", 0)  # type: ignore[attr-defined]
        torch.manual_seed(int(np.random.SeedSequence((seed, *place)).generate_state(1)[0]))
        losses = self.network(*batch)
        each = torch.stack([losses[name].float() for name in LOSSES])
        self.keep(each.detach(), torch.tensor(len(batch[0])))
        return each.sum()

    def measured(self, window: Window) -> dict[str, float]:
        values = torch.stack([losses for losses, _ in window]).mean(0).tolist()
        return {"loss": sum(values), **dict(zip(LOSSES, values, strict=True))}

    def images_of(self, window: Window) -> int:
        return int(window[0][1])

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.detect(batch, self.validation_sets()[dataloader_idx])

    def test_step(self, batch: Batch) -> None:
        for pixels, (there, found) in zip(batch[0], self.detect(batch, "test"), strict=True):
            if len(self.pictures) < PICTURES:
                self.pictures.append((pixels.cpu(), there, found))

    def on_test_start(self) -> None:
        self.pictures = []
        how = evaluation(self.trainer.datamodule)  # type: ignore[attr-defined]
        self.network.roi_heads.refines = how in IMPROVED
        self.network.several_scales = how == "multi_scale"

    def detect(self, batch: Batch, name: str) -> list[tuple[Boxes, Boxes]]:
        """Adds what is in some images, none even, and what is found in them, to a set's."""
        images, targets = batch
        detections = self.network(images) if images else []
        new = [(on_cpu(there), on_cpu(found)) for there, found in zip(targets, detections, strict=True)]
        self.found.setdefault(name, []).extend(new)
        return new

    def on_validation_epoch_end(self) -> None:
        for name in dict.fromkeys(self.validation_sets()):
            self.evaluate(name)

    def on_test_epoch_end(self) -> None:
        self.evaluate("test")

    def evaluate(self, name: str) -> None:
        """The average precision of a set, of which every process has seen a part."""
        pairs = of_all_processes(self.found.pop(name, []))
        if self.trainer.sanity_checking:
            return
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        # The order counts where scores are equal.
        pairs = sorted(pairs, key=lambda pair: int(pair[0]["image_id"]))
        there, found = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        self.measured_last = measure(metric_of(data), found, there, data.class_names)
        self._log_evaluation(name, {**self.measured_last.values, "images": float(len(pairs))})


def on_cpu(boxes: Mapping[str, Tensor]) -> Boxes:
    return {name: value.float().cpu() if value.is_floating_point() else value.cpu() for name, value in boxes.items()}


def of_all_processes(pairs: list[tuple[Boxes, Boxes]]) -> list[tuple[Boxes, Boxes]]:
    if not torch.distributed.is_initialized():
        return pairs
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, pairs)
    return [pair for own in gathered for pair in own]
