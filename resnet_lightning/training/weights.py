"""Weights from any of the usual files, named as a network names them; those of another network are refused by name."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from resnet_lightning.data.preprocessing import Preprocessing
from resnet_lightning.errors import BadInput
from resnet_lightning.networks import inspection

# Where the usual training scripts put the weights of their checkpoints, and what the usual wrappers put before names.
CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
PREFIXES = ("network.", "module.", "_orig_mod.", "model.", "net.")
OURS = "network."  # the Classifier's prefix
PREPROCESSING = "preprocessing."  # of the mean image beside kept weights


class Pretrained(NamedTuple):
    """What a file of classification's weights holds.

    Args:
        weights: by name.
        network: its name; empty if the file does not say.
        preprocessing: what it expects of a picture; None if the file does not say, as torchvision's do not.
    """

    weights: Mapping[str, Tensor]
    network: str
    preprocessing: Preprocessing | None


def weights_in(contents: Any) -> dict[str, Tensor]:
    """The tensors of a file by name, in whichever of the usual places they are.

    Raises:
        ValueError: if there are none.
    """
    for name in CONTAINERS:
        if isinstance(contents, Mapping) and isinstance(contents.get(name), Mapping):
            contents = contents[name]
            break
    found = {str(k): v for k, v in contents.items() if isinstance(v, Tensor)} if isinstance(contents, Mapping) else {}
    if not found:
        raise ValueError(f"it holds no weights (looked for a table of tensors, or one under {', '.join(CONTAINERS)})")
    return found


def named_as(weights: Mapping[str, Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
    """The weights without what wrappers (DataParallel, torch.compile, a LightningModule) put before their names.

    Args:
        wanted: the names that the network has.
    """
    wanted, best = set(wanted), dict(weights)
    candidate = dict(weights)
    while not wanted <= candidate.keys():
        prefix = next((p for p in PREFIXES if any(name.startswith(p) for name in candidate)), None)
        if prefix is None:
            break
        # What has no prefix beside those that have one is no part of the network, such as a metric's state.
        candidate = {name.removeprefix(prefix): value for name, value in candidate.items() if name.startswith(prefix)}
        if len(wanted & candidate.keys()) > len(wanted & best.keys()):
            best = candidate
    for name in wanted - best.keys():  # older files lack the counters of batch normalisation
        if name.endswith("num_batches_tracked"):
            best[name] = torch.tensor(0)
    return best


def take_weights(checkpoint: dict[str, Any], network: nn.Module) -> None:
    """Names a checkpoint's weights as the Classifier of a network does.

    Raises:
        BadInput: if it holds those of another network, saying which, or what is missing.
    """
    name, state = inspection.name(network), network.state_dict()
    kept = {key: value for key, value in checkpoint["state_dict"].items() if not key.startswith(PREPROCESSING)}
    weights = named_as(kept, state)
    refuse_other_shapes(weights, state, name, str(checkpoint.get("network", "")))
    # A plain network has the weights of a residual one of option A.
    if "optimizer_states" in checkpoint and checkpoint.get("network", name) != name:
        raise BadInput(f"the checkpoint holds {checkpoint['network']}, not the configured {name}")
    checkpoint["state_dict"] = {f"{OURS}{key}": value for key, value in weights.items()}


def refuse_other_shapes(
    weights: Mapping[str, Tensor], state: Mapping[str, Tensor], name: str, theirs: str = ""
) -> None:
    """Raises BadInput unless weights have the names and shapes of a network's state.

    Args:
        name: of the network.
        theirs: of the network that the file says to hold; empty if it does not say.
    """
    held = {key: tuple(value.shape) for key, value in weights.items()}
    expected = {key: tuple(value.shape) for key, value in state.items()}
    different = sorted(key for key in held.keys() | expected.keys() if held.get(key) != expected.get(key))
    if not different:
        return
    if all(key in held and key in expected and held[key][1:] == expected[key][1:] for key in different):
        classes, ours = held[different[0]][0], expected[different[0]][0]
        raise BadInput(f"the checkpoint has {classes:,} classes, the data and the configured network {ours:,}")
    if theirs and theirs != name:
        raise BadInput(f"the checkpoint holds {theirs}, not the configured {name} (they differ in {different[0]})")
    said = []
    for words, keys in (
        ("lacks", sorted(expected.keys() - held.keys())),
        ("has besides", sorted(held.keys() - expected.keys())),
    ):
        if keys:
            said.append(f"{words} {', '.join(keys[:3])}" + f" and {len(keys) - 3} more" * (len(keys) > 3))
    shapes = [key for key in different if key in held and key in expected]
    said += [f"has {held[key]} for {key} instead of {expected[key]}" for key in shapes[:1]]
    raise BadInput(f"the checkpoint does not hold the weights of the configured {name}: it {'; it '.join(said)}")
