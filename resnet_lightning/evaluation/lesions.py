"""What the blocks of a trained network have learned: their size beside their input, and the error without each.

Section 4.2 takes small responses for a sign that a residual block modifies the signal little. Deleting a block, or
swapping it with the next, tests that: a network whose blocks refine one signal survives it, one whose layers feed each
other does not (Veit, Wilber and Belongie, 2016).
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lightning import Trainer
from torch import Tensor, nn

from resnet_lightning.callbacks.responses import Moments
from resnet_lightning.errors import BadInput
from resnet_lightning.evaluation.testing import alone, identified, of_checkpoint, tested_set
from resnet_lightning.networks import ResNet
from resnet_lightning.networks.layers import layers
from resnet_lightning.networks.shortcuts import make_shortcut
from resnet_lightning.runs.command_line import PreparedRun, prepare
from resnet_lightning.runs.folder import LESIONS, read_json, write_json
from resnet_lightning.runs.life import check_count
from resnet_lightning.runs.naming import config_files
from resnet_lightning.runs.stop import interruptible
from resnet_lightning.runs.trainers import make_trainer
from resnet_lightning.training.weights import name_of

USAGE = "--config RUN/config.yaml --ckpt_path RUN/checkpoints/iteration=N.ckpt [options of test]"


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning lesions`: takes the options of `test`, and writes lesions.json into the run's folder.

    Raises:
        BadInput: for a network without this package's blocks.
    """
    if {"-h", "--help"} & set(arguments):
        print(f"usage: resnet-lightning lesions {USAGE}")
        return
    if not config_files(arguments):
        raise BadInput(f"lesions needs a run: {USAGE}")
    run = prepare(arguments, "test", watched=False)
    network = run.model.network
    if not isinstance(network, ResNet):
        raise BadInput(f"lesions are made in blocks of this package, and {type(network).__name__} has none")
    with interruptible():
        trainer = make_trainer(run, enable_progress_bar=False)
        with alone(run, trainer, LESIONS):
            examine(run, trainer, network)


def examine(run: PreparedRun, trainer: Trainer, network: ResNet) -> None:
    """Tests the network as it is and after every lesion; goes on where it was interrupted."""
    start, path = time.monotonic(), run.folder / LESIONS
    run.data.prepare_data()
    run.data.setup("test")
    what = identified(run, trainer)
    earlier = read_json(path) or {}
    moments, hooks = Moments(), []
    for name, (stage, place) in blocks(network).items():
        hooks += watch(stage[place], name, moments)
    error = measure(run, trainer, "as it is", **of_checkpoint(run))
    for hook in hooks:
        hook.remove()
    run.model.bn_batches = 0  # done; a lesion keeps the statistics of the network as it is
    sizes = moments.compute()
    found: dict[str, dict[str, float]] = {
        name: {"size": sizes[f"{name} F"][1] / sizes[f"{name} x"][1]} for name in blocks(network)
    }
    if earlier | what | {"error": error} == earlier:
        found = earlier["blocks"]
    contents = what | {"complete": False, "error": error, "blocks": found}
    for name, kind, stage, changes in lesions(network):
        if kind not in found[name]:
            with lesion(stage, changes):
                found[name][kind] = measure(run, trainer, f"{name} {kind}")
            if trainer.is_global_zero:
                write_json(path, contents)
    if trainer.is_global_zero:
        write_json(path, contents | {"complete": True, "seconds": round(time.monotonic() - start, 1)})
        print(f"{len(found)} blocks are in {path}")


def measure(run: PreparedRun, trainer: Trainer, state: str, **weights: Any) -> float:
    """The test error (percent) of the network in some state, which is said."""
    [values] = trainer.test(run.model, datamodule=run.data, verbose=False, **weights)
    check_count(trainer, run.data, "test", tested_set(run.data))
    error = float(values["test/error"])
    if trainer.is_global_zero:
        print(f"{name_of(run.model.network)}, {state}: error {error:.2f} %", flush=True)
    return error


def blocks(network: ResNet) -> dict[str, tuple[nn.Sequential, int]]:
    """The blocks by name, such as layer1.0: the stage and the place in it."""
    stages = {name: getattr(network, name) for name in network.stages}
    return {f"{name}.{place}": (stage, place) for name, stage in stages.items() for place in range(len(stage))}


def lesions(network: ResNet) -> Iterator[tuple[str, str, nn.Sequential, dict[int, nn.Module]]]:
    """A block's name, what happens to it ("deleted", or "swapped" with the next), its stage, and what stands where."""
    for name, (stage, place) in blocks(network).items():
        yield name, "deleted", stage, {place: nn.Sequential(shortcut_of(stage[place]), nn.ReLU())}
    for name, (stage, place) in blocks(network).items():
        # Only where both take and give the same shape.
        if place + 1 < len(stage) and isinstance(option_a(stage[place]), nn.Identity):
            yield name, "swapped", stage, {place: stage[place + 1], place + 1: stage[place]}


@contextmanager
def lesion(stage: nn.Sequential, changes: Mapping[int, nn.Module]) -> Iterator[None]:
    """Puts other modules into places of a stage, for a while."""
    before = {place: stage[place] for place in changes}
    try:
        for place, module in changes.items():
            stage[place] = module
        yield
    finally:
        for place, module in before.items():
            stage[place] = module


def shortcut_of(block: nn.Module) -> nn.Module:
    """What is left of a block without F: its shortcut; of a plain block, what option A would be."""
    shortcut = block.downsample
    return shortcut if isinstance(shortcut, nn.Module) else option_a(block)


def option_a(block: nn.Module) -> nn.Module:
    """Option A for a block's shapes: the identity where they are the same."""
    convolutions = [layer.convolution for layer in layers(block).values()]
    stride = math.prod(convolution.stride[0] for convolution in convolutions)
    shortcut = make_shortcut("A", convolutions[0].in_channels, convolutions[-1].out_channels, stride)
    assert shortcut is not None
    return shortcut


def watch(block: nn.Module, name: str, moments: Moments) -> list[Any]:
    """Hooks that count F(x), before the addition, and what it is added to: x, or in a plain block what it would be."""
    shortcut, residual = shortcut_of(block), list(layers(block).values())[-1].response

    def before(_: nn.Module, inputs: tuple[Tensor]) -> None:
        moments.add(f"{name} x", shortcut(inputs[0]))

    def after(_: nn.Module, __: tuple[Tensor], output: Tensor) -> None:
        moments.add(f"{name} F", output)

    return [block.register_forward_pre_hook(before), residual.register_forward_hook(after)]
