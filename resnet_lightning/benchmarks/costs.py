"""What a training takes on given hardware: the formula of docs/scaling.md, which says how good it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from resnet_lightning.data import CIFAR10, Digits, ImageNet
from resnet_lightning.data.datamodule import EVALUATION_BATCH
from resnet_lightning.data.digits import TEST_IMAGES
from resnet_lightning.data.imagenet import BATCHES, TEST_SCALES, WHOLE
from resnet_lightning.errors import BadInput
from resnet_lightning.networks.counting import Part, count_parts
from resnet_lightning.runs.command_line import prepare

NODE = 8  # GPUs that are linked within a machine
LATENCY = 50e-6  # seconds of an all-reduce of nothing
BUCKET = 25 * 2**20  # bytes of gradients that DistributedDataParallel sends at once
DISK = 1e9  # bytes per second
STATE = 8  # bytes in a checkpoint for each parameter: its value and its momentum
START = 10.0  # seconds until the first iteration
# Of multi_scale: whole images, most of 4:3, and their mirror images.
VIEWS = {"center": 1.0, "ten_crop": 10.0, "multi_scale": 2 * 4 / 3 * sum((side / 224) ** 2 for side in TEST_SCALES)}
# Images of an evaluation, how many at once, and the GPUs that share a batch in the paper: on more of them, batch
# normalisation would see fewer images than the paper's.
DATA = {
    CIFAR10: (10_000, EVALUATION_BATCH, 2),
    Digits: (TEST_IMAGES, EVALUATION_BATCH, 2),
    ImageNet: (WHOLE[2], BATCHES["center"], 8),
}


@dataclass(frozen=True)
class Machine:
    """What a GPU and the links to others do.

    Args:
        layer: seconds that a layer takes in a step (forward, backward, optimizer) however few the images are.
        arithmetic: operations per second in convolutions; a multiply-add is two.
        memory: bytes of activations per second in everything else; they are counted as `summary` does, in float32.
        decoded: image files per second that the CPU cores of one GPU turn into crops.
        within: bytes per second of an all-reduce between the GPUs of a node.
        between: bytes per second of an all-reduce between nodes.
    """

    layer: float
    arithmetic: float
    memory: float
    decoded: float
    within: float
    between: float


@dataclass(frozen=True)
class Run:
    """A training as its experiment describes it; multiply-adds and bytes of activations are those of one image."""

    network: str
    layers: int
    parameters: int
    macs: float
    activations: float
    batch: int
    iterations: int
    evaluations: int
    checkpoints: int
    images: int  # of an evaluation
    at_once: int
    most_gpus: int
    files: bool  # whether images are decoded while training


@dataclass(frozen=True)
class Step:
    """Seconds of a training step: of the first three the longest counts; of the all-reduce, what nothing hides."""

    launches: float
    compute: float
    reading: float
    allreduce: float

    @property
    def total(self) -> float:
        return max(self.launches, self.compute, self.reading) + self.allreduce


def read_run(arguments: Sequence[str]) -> Run:
    """The run that `fit` with these arguments would make.

    Raises:
        BadInput: if it trains on data of unknown size.
    """
    with torch.device("meta"):
        made = prepare([*arguments, "--model.compile=false"], watched=False)
    network, data, options = made.model.network.train(), made.data, made.config
    if type(data) not in DATA:
        raise BadInput(f"{made.experiment}: plan knows the size of {', '.join(known.__name__ for known in DATA)} only")
    two = sum(count_parts(network, (2, 3, data.image_size, data.image_size)).values(), Part())  # batch norm needs two
    iterations = options.trainer.max_steps
    return Run(
        getattr(network, "name", type(network).__name__),
        sum(isinstance(module, nn.Conv2d | nn.Linear) for module in network.modules()),
        two.parameters,
        two.macs / 2,
        two.activations / 2,
        data.batch_size,
        iterations,
        iterations // options.trainer.val_check_interval + 1,  # the finished network is measured once more
        iterations // options.checkpoint_every,
        *DATA[type(data)],
        isinstance(data, ImageNet),
    )


def rates(one: Run, other: Run, speeds: tuple[float, float]) -> tuple[float, float]:
    """Arithmetic and memory of the machine that trains two networks at these images per second; negative if none does.

    The networks have to need the two in different proportions.
    """
    first, second = 1 / speeds[0], 1 / speeds[1]
    both = one.macs * other.activations - other.macs * one.activations
    per_mac = (first * other.activations - second * one.activations) / both
    per_byte = (second * one.macs - first * other.macs) / both
    return 6 / per_mac, 1 / per_byte


def compute(run: Run, machine: Machine, images: float) -> float:
    """Seconds of a step with so many images on a GPU, if nothing holds it up: forward, and twice that backward."""
    return images * (3 * 2 * run.macs / machine.arithmetic + run.activations / machine.memory)


def allreduce_bytes(size: float, gpus: int) -> float:
    """What each GPU sends, in a ring, until all have the sum of what each had."""
    return 2 * (gpus - 1) / gpus * size


def allreduce(size: float, machine: Machine, gpus: int) -> float:
    """Seconds."""
    bandwidth = machine.within if gpus <= NODE else machine.between
    return LATENCY + allreduce_bytes(size, gpus) / bandwidth if gpus > 1 else 0.0


def step(run: Run, machine: Machine, gpus: int) -> Step:
    """One training step of a run whose batch so many GPUs share."""
    images, gradients = run.batch / gpus, 4 * run.parameters
    launches, computing = run.layers * machine.layer, compute(run, machine, images)
    # Gradients are sent while the backward pass goes on, but for those that it computes last.
    backward = 2 / 3 * max(launches, computing)
    after = max(allreduce(gradients, machine, gpus) - backward, allreduce(min(gradients, BUCKET), machine, gpus))
    return Step(launches, computing, images / machine.decoded if run.files else 0.0, after)


def run_seconds(run: Run, machine: Machine, gpus: int, evaluation: str | None = None) -> float:
    """A whole run, and what its finished network is shown."""
    forward = max(run.layers * machine.layer, compute(run, machine, run.at_once)) / 3 / run.at_once
    reading = 1 / machine.decoded if run.files else 0.0
    looking = run.evaluations * max(forward, reading)
    if evaluation:
        looking += max(VIEWS[evaluation] * forward, reading)
    saving = run.checkpoints * STATE * run.parameters / DISK
    return START + run.iterations * step(run, machine, gpus).total + looking * run.images / gpus + saving
