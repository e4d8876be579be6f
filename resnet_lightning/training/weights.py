"""Whose weights a checkpoint holds: those of another network are refused by its name."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from resnet_lightning.errors import BadInput


def name_of(network: nn.Module) -> str:
    return str(getattr(network, "name", type(network).__name__))


def refuse_other_weights(checkpoint: Mapping[str, Any], state: Mapping[str, Tensor], name: str) -> None:
    """Raises BadInput if a checkpoint is of another network than the configured one.

    Args:
        state: the weights of the configured network, by the names that the checkpoint has to have.
        name: of the configured network.
    """
    theirs = {key: value.shape for key, value in checkpoint["state_dict"].items()}
    ours = {key: value.shape for key, value in state.items()}
    different = sorted(key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key))
    if different and all(key in theirs and key in ours and theirs[key][1:] == ours[key][1:] for key in different):
        classes, expected = theirs[different[0]][0], ours[different[0]][0]
        raise BadInput(f"the checkpoint has {classes:,} classes, the data and the configured network {expected:,}")
    if different:
        raise BadInput(
            f"the checkpoint holds {checkpoint.get('network', 'another network')}, not the configured {name} (they "
            f"differ in {different[0]})"
        )
    # A plain network has the weights of a residual one of option A.
    if "optimizer_states" in checkpoint and checkpoint.get("network", name) != name:
        raise BadInput(f"the checkpoint holds {checkpoint['network']}, not the configured {name}")
