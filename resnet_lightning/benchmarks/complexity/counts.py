"""What a network costs by counting, on PyTorch's meta device, where nothing is computed; and what torchvision says."""

import math
import weakref
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from resnet_lightning.benchmarks.complexity.networks import Subject
from resnet_lightning.compat import changes_its_inputs, storage_identity
from resnet_lightning.errors import BadInput
from resnet_lightning.networks.counting import Part, count_parts

IMAGES = 2  # batch normalisation needs two in training


class Traffic(TorchDispatchMode):
    """Follows the memory of every tensor that is made while it is entered.

    Args:
        network: whose parameters and buffers are its weights.

    Attributes:
        activations: bytes of them that operations read and write, each operand once; views are free.
        weights: bytes of weights that operations read.
        peak: bytes of all tensors made here that lived at the same time.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.own = {storage_identity(tensor) for tensor in (*network.parameters(), *network.buffers())}
        self.activations = self.weights = self.peak = self.living = 0
        self.tensors: dict[int, int] = {}  # how many live, by their memory

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = operation(*args, **(kwargs or {}))
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        outputs = [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
        known = {storage_identity(tensor) for tensor in inputs}
        fresh = [tensor for tensor in outputs if storage_identity(tensor) not in known]
        if fresh or changes_its_inputs(operation):
            for tensor in {id(tensor): tensor for tensor in (*inputs, *outputs)}.values():
                moved = tensor.numel() * tensor.element_size()
                if storage_identity(tensor) in self.own:
                    self.weights += moved
                else:
                    self.activations += moved
        for tensor in outputs:
            self._follow(tensor, own=storage_identity(tensor) not in known)
        return made

    def _follow(self, tensor: Tensor, own: bool) -> None:
        place, size = storage_identity(tensor), tensor.untyped_storage().nbytes()
        if own and place not in self.tensors:
            self.tensors[place] = 0
            self.living += size
            self.peak = max(self.peak, self.living)
        if place in self.tensors:
            self.tensors[place] += 1
            weakref.finalize(tensor, self._release, place, size)

    def _release(self, place: int, size: int) -> None:
        self.tensors[place] -= 1
        if not self.tensors[place]:
            del self.tensors[place]
            self.living -= size


def counted(subject: Subject) -> dict[str, Any]:
    """Numbers of a network, all for one image.

    Returns:
        parameters; macs (multiply-adds of evaluation); weights (bytes of all parameters and buffers, float32);
        activations (bytes that training keeps for the backward pass); peak (bytes of the largest set of activations
        that an evaluation holds at one time, the image included); traffic and read_once (bytes of activations that its
        operations read and write, and of weights, which they read once for a batch); size (pixels).

    Raises:
        BadInput: if the network cannot be made, or does not work with such images.
    """
    shape = (IMAGES, 3, subject.size, subject.size)
    with torch.device("meta"):
        network = subject.build()
    try:
        training = sum(count_parts(network.train(), shape).values(), Part())
        with torch.no_grad():
            evaluation = sum(count_parts(network.eval(), shape).values(), Part())
            traffic = follow(network, shape)
    except (RuntimeError, ValueError, TypeError) as error:
        raise BadInput(
            f"{subject.name} does not work with images of 3×{subject.size}×{subject.size}: {error}"
        ) from error
    weights = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    return {
        "parameters": evaluation.parameters,
        "macs": evaluation.macs // IMAGES,
        "weights": weights,
        "activations": training.activations // IMAGES,
        "peak": traffic.peak // IMAGES,
        "traffic": traffic.activations // IMAGES,
        "read_once": traffic.weights,
        "size": subject.size,
    }


def follow(network: nn.Module, shape: tuple[int, ...]) -> Traffic:
    """An evaluation on the meta device, followed."""
    traffic = Traffic(network)
    with torch.device("meta"), torch.no_grad(), traffic:
        network(torch.empty(shape))
    return traffic


def from_torchvision(subject: Subject) -> dict[str, Any]:
    """What the metadata of torchvision's weights say; nothing is downloaded, and {} is for a network without any.

    Returns:
        accuracy (top-1, percent), resize and crop (pixels) of that test, parameters, gigamacs, file (MiB).
    """
    if not subject.weights:
        return {}
    weights = torchvision.models.get_weight(subject.weights)
    meta, transforms = weights.meta, weights.transforms()
    accuracy = meta["_metrics"]["ImageNet-1K"]["acc@1"]
    return {
        "accuracy": None if math.isnan(accuracy) else accuracy,
        "resize": transforms.resize_size[0],
        "crop": transforms.crop_size[0],
        "parameters": meta["num_params"],
        "gigamacs": meta["_ops"],
        "file": meta["_file_size"],
    }
