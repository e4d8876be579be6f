"""What the blocks of a trained network have learned: their size beside their input, and the error without each.

Section 4.2 takes small responses for a sign that a residual block modifies the signal little. Deleting a block, or
swapping it with the next, tests that: a network whose blocks refine one signal survives it, one whose layers feed each
other does not (Veit, Wilber and Belongie, 2016).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from lightning import Trainer
from torch import Tensor, nn

from resnet_lightning.callbacks.responses import Moments
from resnet_lightning.data.protocol import tested_set
from resnet_lightning.errors import BadInput
from resnet_lightning.evaluation.testing import alone, identified, name_weights, of_checkpoint, refuse_detectors
from resnet_lightning.networks import inspection
from resnet_lightning.networks.inspection import Block
from resnet_lightning.runs.command_line import PreparedRun, prepare
from resnet_lightning.runs.folder import LESIONS, read_json, write_json
from resnet_lightning.runs.life import check_count
from resnet_lightning.runs.naming import config_files
from resnet_lightning.runs.stop import interruptible
from resnet_lightning.runs.trainers import make_trainer

USAGE = "--config RUN/config.yaml --ckpt_path RUN/checkpoints/iteration=N.ckpt [options of test]"


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning lesions`: takes the options of `test`, and writes lesions.json into the run's folder.

    Raises:
        BadInput: for a network without blocks.
    """
    if {"-h", "--help"} & set(arguments):
        print(f"usage: resnet-lightning lesions {USAGE}")
        return
    if not config_files(arguments):
        raise BadInput(f"lesions needs a run: {USAGE}")
    run = prepare(arguments, "test", watched=False)
    network = run.model.network
    refuse_detectors(run, "lesions measure errors in percent")
    if not inspection.blocks(network):
        raise BadInput(
            f"lesions delete blocks, and {type(network).__name__} has none (docs/extending.md: a block of your own)"
        )
    with interruptible():
        trainer = make_trainer(run, enable_progress_bar=False)
        with alone(run, trainer, LESIONS):
            examine(run, trainer, network)


def examine(run: PreparedRun, trainer: Trainer, network: nn.Module) -> None:
    """Tests the network as it is and after every lesion; goes on where it was interrupted."""
    start, path = time.monotonic(), run.folder / LESIONS
    run.data.prepare_data()
    run.data.setup("test")
    what = identified(run, trainer)
    earlier = read_json(path) or {}
    moments = Moments()
    hooks = watch(network, moments)
    error = measure(run, trainer, "as it is", **of_checkpoint(run))
    if trainer.is_global_zero:
        name_weights(run, trainer)
    for hook in hooks:
        hook.remove()
    run.model.bn_batches = 0  # done; a lesion keeps the statistics of the network as it is
    sizes = moments.compute()
    found: dict[str, dict[str, float]] = {
        name: {"size": sizes[f"{name} F"][1] / sizes[f"{name} x"][1]} for name in inspection.blocks(network)
    }
    if earlier | what | {"error": error} == earlier:
        found = earlier["blocks"]
    contents = what | {"complete": False, "error": error, "blocks": found}
    for name, kind, changes in lesions(network):
        if kind not in found[name]:
            with lesion(network, changes):
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
        print(f"{inspection.name(run.model.network)}, {state}: error {error:.2f} %", flush=True)
    return error


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
