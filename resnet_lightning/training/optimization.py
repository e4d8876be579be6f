"""The optimizer of a network, and the length over which its learning rate falls (sections 3.4 and 4.2)."""

import math
from typing import Any

from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import nn
from torch.optim import Optimizer

from resnet_lightning.data.protocol import size
from resnet_lightning.errors import BadInput, speaks_for_node
from resnet_lightning.schedules import Schedule


def parameter_groups(network: nn.Module, weight_decay_on: str) -> list[dict[str, Any]]:
    """The parameters as an optimizer takes them.

    Args:
        weight_decay_on: everything, or only the weights of convolutions and linear layers.
    """
    everything = list(network.parameters())
    if weight_decay_on == "everything":
        return [{"params": everything}]
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    known = {id(weight) for weight in weights}
    others = [parameter for parameter in everything if id(parameter) not in known]
    return [{"params": weights}, {"params": others, "weight_decay": 0.0}]


def make_optimizer(build: OptimizerCallable, groups: list[dict[str, Any]], trainer: Any) -> Optimizer:
    """The optimizer, not fused where Lightning could not clip its gradients."""
    optimizer = build(groups)
    # With mixed precision, Lightning lets no gradients be clipped that a fused optimizer takes.
    mixed = isinstance(trainer.precision_plugin, MixedPrecision)
    if trainer.gradient_clip_val and mixed and optimizer.defaults.get("fused"):
        if speaks_for_node():
            print("trainer.gradient_clip_val with mixed precision: the optimizer is not fused", flush=True)
        optimizer = build(groups, fused=False)  # type: ignore[call-arg]
    return optimizer


def length_of(trainer: Any) -> int:
    """Iterations of a training.

    Raises:
        BadInput: if it has no end that is known, which a schedule needs.
    """
    # Runs give max_steps alone: to count the batches of epochs, Lightning makes the loader, and then its place is lost.
    whole = trainer.max_steps if trainer.max_epochs in (None, -1) else trainer.estimated_stepping_batches
    if not 0 < whole < math.inf:
        raise BadInput("a schedule needs the length of the training: give the Trainer max_steps or max_epochs")
    return int(whole)


def check_evaluations(schedule: Schedule, trainer: Any) -> None:
    """Raises BadInput if a schedule looks at validation errors and a run makes no evaluation where it looks."""
    every, between = schedule.evaluates_every, trainer.val_check_interval
    if not every:
        return
    name = type(schedule).__name__
    if not size(trainer.datamodule, "val"):
        raise BadInput(f"{name} looks at validation images: hold some out with --data.validation_images")
    by_iteration = isinstance(between, int) and trainer.check_val_every_n_epoch is None
    if not by_iteration or every * trainer.accumulate_grad_batches % between:
        raise BadInput(
            f"{name} looks at the validation error every {every:,} iterations (model.schedule.every): expected a "
            f"trainer.val_check_interval that divides it, not {between}"
        )
