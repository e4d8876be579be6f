"""What the blocks of a trained network have learned: their size beside their input, and the error without each.

Section 4.2 takes small responses for a sign that a residual block modifies the signal little. Deleting a block, or
swapping it with the next, tests that: a network whose blocks refine one signal survives it, one whose layers feed each
other does not (Veit, Wilber and Belongie, 2016).
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resnet_lightning.callbacks.responses import Moments
from resnet_lightning.errors import BadInput
from resnet_lightning.files import sha256
from resnet_lightning.networks import ResNet
from resnet_lightning.networks.layers import layers
from resnet_lightning.networks.shortcuts import make_shortcut
from resnet_lightning.runs.command_line import CommandLine
from resnet_lightning.runs.folder import LESIONS, read_json, write_json
from resnet_lightning.runs.naming import config_files

USAGE = "--config RUN/config.yaml --ckpt_path RUN/checkpoints/iteration=N.ckpt [options of test]"


class Lesions(CommandLine):
    """`resnet-lightning lesions`: takes the options of `test`, and writes lesions.json into the run's folder.

    Args:
        arguments: of the command line.

    Raises:
        BadInput: for a network without this package's blocks.
    """

    evaluates = "lesions"

    def __init__(self, arguments: Sequence[str]) -> None:
        if not config_files(arguments):
            raise BadInput(f"lesions needs a run: {USAGE}")
        super().__init__(["test", *arguments, "--trainer.callbacks=null", "--trainer.enable_progress_bar=false"])

    def test(self, **arguments: Any) -> None:
        """Tests the network as it is and after every lesion; goes on where it was interrupted."""
        network, path = self.model.network, self.folder / LESIONS
        if not isinstance(network, ResNet):
            raise BadInput(f"lesions are made in blocks of this package, and {type(network).__name__} has none")
        start = time.monotonic()
        self.datamodule.prepare_data()
        self.datamodule.setup("test")
        checkpoint = Path(arguments["ckpt_path"])
        about = self._about_evaluation(checkpoint) | {"sha256": sha256(checkpoint)}
        earlier = read_json(path) or {}
        moments, hooks = Moments(), []
        for name, (stage, place) in blocks(network).items():
            hooks += watch(stage[place], name, moments)
        error = self._error(**arguments)
        for hook in hooks:
            hook.remove()
        self._say("as it is", error)
        self.model.bn_batches = 0  # done; a lesion keeps the statistics of the network as it is
        sizes = moments.compute()
        found: dict[str, dict[str, float]] = {
            name: {"size": sizes[f"{name} F"][1] / sizes[f"{name} x"][1]} for name in blocks(network)
        }
        if earlier | about | {"error": error} == earlier:
            found = earlier["blocks"]
        for name, kind, stage, changes in lesions(network):
            if kind not in found[name]:
                with lesion(stage, changes):
                    found[name][kind] = self._error(self.model, datamodule=self.datamodule)
                self._say(f"{name} {kind}", found[name][kind])
                self._write(path, about | {"complete": False, "error": error, "blocks": found})
        seconds = round(time.monotonic() - start, 1)
        self._write(path, about | {"complete": True, "error": error, "blocks": found, "seconds": seconds})
        if self.trainer.is_global_zero:
            print(f"{len(found)} blocks are in {path}")

    def _error(self, *arguments: Any, **options: Any) -> float:
        [values] = self.trainer.test(*arguments, **{**options, "verbose": False})
        self._check_count("test", self.datamodule.size("test") or self.datamodule.size("val"))
        return float(values["test/error"])

    def _say(self, what: str, error: float) -> None:
        if self.trainer.is_global_zero:
            print(f"{self.model.network.name}, {what}: error {error:.2f} %", flush=True)

    def _write(self, path: Path, contents: dict[str, Any]) -> None:
        if self.trainer.is_global_zero:
            write_json(path, contents)


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning lesions`."""
    if {"-h", "--help"} & set(arguments):
        print(f"usage: resnet-lightning lesions {USAGE}")
        return
    torch.set_float32_matmul_precision("high")
    Lesions(arguments)


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
