"""What the blocks of a trained network have learned: their size beside their input, and the error without each.

Section 4.2 takes small responses for a sign that a residual block modifies the signal little. Deleting a block, or
swapping it with the next, tests that: a network whose blocks refine one signal survives it, one whose layers feed each
other does not (Veit, Wilber and Belongie, 2016).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resnet_lightning.callbacks.responses import Moments
from resnet_lightning.errors import BadInput
from resnet_lightning.files import sha256
from resnet_lightning.networks import inspection
from resnet_lightning.networks.inspection import Block
from resnet_lightning.runs.command_line import CommandLine
from resnet_lightning.runs.folder import LESIONS, config_files, read_json, write_json

USAGE = "--config RUN/config.yaml --ckpt_path RUN/checkpoints/iteration=N.ckpt [options of test]"


class Lesions(CommandLine):
    """`resnet-lightning lesions`: takes the options of `test`, and writes lesions.json into the run's folder.

    Args:
        arguments: of the command line.

    Raises:
        BadInput: for a network without blocks.
    """

    evaluates = "lesions"

    def __init__(self, arguments: Sequence[str]) -> None:
        if not config_files(arguments):
            raise BadInput(f"lesions needs a run: {USAGE}")
        super().__init__(["test", *arguments, "--trainer.callbacks=null", "--trainer.enable_progress_bar=false"])

    def test(self, **arguments: Any) -> None:
        """Tests the network as it is and after every lesion; goes on where it was interrupted."""
        network, path = self.model.network, self.folder / LESIONS
        names = list(inspection.blocks(network))
        if not names:
            raise BadInput(
                f"lesions delete blocks, and {type(network).__name__} has none (docs/extending.md: a block of your own)"
            )
        start = time.monotonic()
        self.datamodule.prepare_data()
        self.datamodule.setup("test")
        checkpoint = Path(arguments["ckpt_path"])
        about = self._about_evaluation(checkpoint) | {"sha256": sha256(checkpoint)}
        earlier = read_json(path) or {}
        moments = Moments()
        hooks = watch(network, moments)
        error = self._error(**arguments)
        for hook in hooks:
            hook.remove()
        self._say("as it is", error)
        self.model.bn_batches = 0  # done; a lesion keeps the statistics of the network as it is
        sizes = moments.compute()
        found: dict[str, dict[str, float]] = {
            name: {"size": sizes[f"{name} F"][1] / sizes[f"{name} x"][1]} for name in names
        }
        if earlier | about | {"error": error} == earlier:
            found = earlier["blocks"]
        for name, kind, changes in lesions(network):
            if kind not in found[name]:
                with lesion(network, changes):
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
            print(f"{inspection.name(self.model.network)}, {what}: error {error:.2f} %", flush=True)

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


def lesions(network: nn.Module) -> Iterator[tuple[str, str, dict[str, nn.Module]]]:
    """A block's name, what happens to it ("deleted", or "swapped" with the next), and what stands where."""
    for name, block in inspection.blocks(network).items():
        yield name, "deleted", {name: nn.Sequential(block.shortcut, block.after)}
    for one, other in inspection.swappable(network):
        yield one, "swapped", {one: network.get_submodule(other), other: network.get_submodule(one)}


@contextmanager
def lesion(network: nn.Module, changes: Mapping[str, nn.Module]) -> Iterator[None]:
    """Puts other modules into some places of a network, for a while."""
    before = {name: network.get_submodule(name) for name in changes}
    try:
        for name, module in changes.items():
            network.set_submodule(name, module)
        yield
    finally:
        for name, module in before.items():
            network.set_submodule(name, module)


def watch(network: nn.Module, moments: Moments) -> list[Any]:
    """Hooks that count F(x) of every block ("layer1.0 F"), and what it is added to or would be ("layer1.0 x")."""
    hooks: list[Any] = []

    def before(name: str, block: Block, _: nn.Module, inputs: tuple[Tensor]) -> None:
        moments.add(f"{name} x", block.shortcut(inputs[0]))

    def after(name: str, _: nn.Module, __: tuple[Tensor], output: Tensor) -> None:
        moments.add(f"{name} F", output)

    for name, block in inspection.blocks(network).items():
        hooks.append(network.get_submodule(name).register_forward_pre_hook(partial(before, name, block)))
        hooks.append(block.residual.register_forward_hook(partial(after, name)))
    return hooks
