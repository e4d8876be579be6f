"""What the parts of a network cost, counted on PyTorch's meta device, where tensors have shapes and no values."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from resnet_lightning.compat import storage_identity


@dataclass
class Part:
    """A direct child of a network, with what is computed until the next one starts.

    Attributes:
        parameters: how many numbers; those that parts share are counted for the first.
        output: shape of what it makes of one image; () as long as that is no tensor.
        macs: multiply-adds of convolutions and matrix products, for all images.
        activations: bytes that the forward pass keeps for the backward pass, for all images.
    """

    parameters: int = 0
    output: tuple[int, ...] = ()
    macs: int = 0
    activations: int = 0

    def __add__(self, after: "Part") -> "Part":
        """Both together; the output is that of the second."""
        numbers = (self.macs + after.macs, self.activations + after.activations)
        return Part(self.parameters + after.parameters, after.output, *numbers)


def count_parts(network: nn.Module, images: tuple[int, ...]) -> dict[str, Part]:
    """Counts what a forward pass with images of a shape [B, C, H, W] does; nothing is computed.

    Activations are what autograd saves, each memory once however often it is saved, without parameters and buffers.

    Args:
        network: is moved to the meta device, where its values are lost; in training mode or not.

    Returns:
        the parts by name, as the network defines them; what belongs to none of them is under "".

    Raises:
        RuntimeError, ValueError: what the network raises if it does not work with such images.
    """
    network.to("meta")
    parts = {name: Part() for name, _ in [*network.named_children(), ("", network)]}
    counter = FlopCounterMode(display=False)
    current, counted = "", 0

    def enter(name: str, *_: Any) -> None:
        nonlocal current, counted
        flops = counter.get_total_flops()
        parts[current].macs += (flops - counted) // 2  # the counter takes a multiply-add for two operations
        current, counted = name, flops

    def leave(name: str, _: nn.Module, __: Any, output: Any) -> None:
        parts[name].output = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()

    # Kept, so that nothing new gets the identity of what is gone.
    known = {storage_identity(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}

    def save(tensor: Tensor) -> Tensor:
        if storage_identity(tensor) not in known:
            known[storage_identity(tensor)] = tensor
            parts[current].activations += tensor.untyped_storage().nbytes()
        return tensor

    handles = []
    seen: set[nn.Parameter] = set()
    for name, child in [*network.named_children(), ("", network)]:
        new = set(child.parameters()) - seen
        parts[name].parameters = sum(parameter.numel() for parameter in new)
        seen |= new
        # Also of the modules inside: a stage may be called block by block, and its last block then gives its output.
        for module in child.modules() if name else ():
            handles.append(module.register_forward_pre_hook(partial(enter, name)))
            handles.append(module.register_forward_hook(partial(leave, name)))
    with torch.device("meta"), counter, saved_tensors_hooks(save, lambda tensor: tensor):
        network(torch.empty(images))
        enter("")
    for handle in handles:
        handle.remove()
    return parts
