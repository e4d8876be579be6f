"""Batches from one process to another, in memory that no file system limits.

PyTorch's own way takes them through /dev/shm, of which a container has 64 MB by default: two batches of 256 crops.
"""

import mmap
import os
import time
from multiprocessing.reduction import DupFd
from typing import Any

import torch
from torch import Tensor

from resnet_lightning.errors import LostWorker


class Shared:
    """Pickles as a tensor that lies in the same memory; it is copied into that memory once.

    Args:
        tensor: contiguous, not empty.
    """

    def __init__(self, tensor: Tensor) -> None:
        values = tensor.contiguous().view(-1).view(torch.uint8).numpy()
        file = os.memfd_create("batch")
        try:
            os.truncate(file, len(values))
            with mmap.mmap(file, len(values)) as memory:
                memory[:] = values.data
            # Already here, as what goes wrong while a queue pickles is printed, and the batch is waited for for ever.
            self.file = DupFd(file)
        finally:
            os.close(file)
        self.type, self.shape = tensor.dtype, tuple(tensor.shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return _open, (self.file, self.type, self.shape)


def share(tensor: Tensor) -> Any:
    """What a worker hands over instead of a tensor: Shared, or itself where the system has no such memory."""
    return Shared(tensor) if hasattr(os, "memfd_create") and tensor.numel() else tensor


def _open(file: Any, type: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    try:
        descriptor = file.detach()
    except (OSError, EOFError) as error:
        time.sleep(1)  # PyTorch's own error comes with a signal: here, and not while ours is dealt with
        raise LostWorker("the process that holds a batch cannot be reached") from error
    try:
        return torch.frombuffer(mmap.mmap(descriptor, 0), dtype=type).view(shape)
    finally:
        os.close(descriptor)
