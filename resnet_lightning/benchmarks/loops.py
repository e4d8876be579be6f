"""One measurement of the benchmark, in a process of its own: a loop runs for some seconds, then says how fast."""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import CIFAR10 as OfficialCIFAR10

from resnet_lightning.benchmarks.speed import TABLE6
from resnet_lightning.data.batches import Images, TrainingBatches
from resnet_lightning.runs.command_line import prepare
from resnet_lightning.runs.folder import make_folder
from resnet_lightning.runs.life import list_callbacks
from resnet_lightning.runs.metrics_logger import MetricsFile
from resnet_lightning.runs.record import RunRecord
from resnet_lightning.runs.trainers import make_trainer
from resnet_lightning.training.devices import device_name

BASE = TABLE6.parent / "base.yaml"
WARMUP = 0.25  # of the measured time: kernels are chosen and memory is taken in the first iterations


class Stopwatch:
    """Counts images and time after a warm-up; the device is waited for at both ends, and nowhere between.

    Args:
        seconds: how long to measure.
        device: where the loop runs.
    """

    def __init__(self, seconds: float, device: torch.device) -> None:
        self.seconds = seconds
        self.device = device
        self.first = self.start = self.end = 0.0
        self.images = 0

    def tick(self, images: int) -> bool:
        """Told after each iteration how many images it took; whether the time is over."""
        now = time.perf_counter()
        if not self.first:
            self.first = now
        elif not self.start:
            if now - self.first >= WARMUP * self.seconds:
                self._wait()
                self.start = time.perf_counter()
        else:
            self.images += images
            if now - self.start >= self.seconds:
                self._wait()
                self.end = time.perf_counter()
        return bool(self.end)

    def _wait(self) -> None:
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)

    def result(self) -> dict[str, Any]:
        speed = self.images / (self.end - self.start)
        return {"images_per_second": speed, "device": device_name(self.device)}


def plain_loop(settings: list[str], workers: str, watch: Stopwatch) -> None:
    """What most repositories write: PIL transforms, a DataLoader, float32, and a look at every iteration's loss."""
    torch.backends.cudnn.benchmark = True
    run = prepare([*settings, "--model.channels_last=false"], watched=False)
    run.data.setup("fit")
    images, labels = run.data.sets["train"]
    dataset = OfficialCIFAR10.__new__(OfficialCIFAR10)  # its constructor reads the official archive only
    dataset.data, dataset.targets, dataset.target_transform = images.numpy(), labels.tolist(), None
    crop, flip = transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()
    normalize = transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    dataset.transform = transforms.Compose([crop, flip, transforms.ToTensor(), normalize])
    gpu = watch.device.type == "cuda"
    loader = DataLoader(dataset, run.data.batch_size, shuffle=True, num_workers=int(workers), pin_memory=gpu)
    network = run.model.network.to(watch.device).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    total_loss, correct = 0.0, 0
    while True:
        for images, labels in loader:
            images, labels = images.to(watch.device), labels.to(watch.device)
            optimizer.zero_grad()
            scores = network(images)
            loss = F.cross_entropy(scores, labels)
            loss.backward()
            optimizer.step()
            total_loss += loss.item()
            correct += scores.argmax(1).eq(labels).sum().item()
            if watch.tick(len(labels)):
                return


def bare_loop(settings: list[str], precision: str, watch: Stopwatch) -> None:
    """The fastest loop around the network and the data, which records nothing and never waits for the device."""
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    run = prepare(settings, watched=False)
    network = run.model.network.to(watch.device).train()
    optimizer = run.model.optimizer(network.parameters())

    def step(images: Tensor, labels: Tensor) -> None:
        # A function, so that nothing keeps the activations: the next iteration finds their memory free and warm.
        with torch.autocast(watch.device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    data = run.data
    data.setup("fit")
    pixels, labels = data.sets["train"]
    images = Images(pixels, labels, data.mean, data.std, data.padding, data.pad, watch.device)
    batches = TrainingBatches(images, data.batch_size, data.seed, data.flip)
    for batch in chain.from_iterable(repeat(batches)):
        step(*batch)
        if watch.tick(len(batch[1])):
            return


def trainer_loop(settings: list[str], precision: str, watch: Stopwatch) -> None:
    """A run as `fit` makes it, with its metrics, its checkpoints and everything else but evaluations and result."""
    torch.set_float32_matmul_precision("high")
    with tempfile.TemporaryDirectory() as folder:
        accelerator = "cpu" if watch.device.type == "cpu" else "auto"
        options = ["--run", folder, "--trainer.precision", precision, "--trainer.accelerator", accelerator]
        run = prepare([*settings, *options, "--trainer.devices=1", "--trainer.max_steps=1000000000"])
        record = RunRecord(run.folder, run.identity, run.text)
        loggers = [MetricsFile(run.folder / "metrics.csv")]
        # Stopping early would evaluate once more.
        trainer = make_trainer(run, [*list_callbacks(run, record), Timing(watch)], loggers, limit_val_batches=0)
        make_folder(run.folder / "checkpoints")
        trainer.fit(run.model, datamodule=run.data)


class Timing(Callback):
    """Tells the stopwatch of every iteration, and stops when the time is over."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: tuple[Tensor, Tensor], batch_idx: int
    ) -> None:
        trainer.should_stop = self.watch.tick(len(batch[1]))


LOOPS: dict[str, Callable[[list[str], str, Stopwatch], None]] = {
    "plain": plain_loop,
    "bare": bare_loop,
    "trainer": trainer_loop,
}


def main(kind: str, how: str, network: str, data: str, seconds: str) -> None:
    """Prints what was measured: `how` is the number of workers of a plain loop, the precision of the others."""
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    watch = Stopwatch(float(seconds), device)
    LOOPS[kind](["--config", str(BASE), "--config", str(TABLE6 / f"{network}.yaml"), "--data.root", data], how, watch)
    print(json.dumps(watch.result()))


if __name__ == "__main__":
    main(*sys.argv[1:])
