"""Segments whose activations are computed again in the backward pass: less memory, the same result."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def recomputed(segment: nn.Module, x: Tensor) -> Tensor:
    """What a segment makes of x, of which the backward pass keeps x alone."""
    return checkpoint(segment, x, use_reentrant=False, context_fn=partial(_contexts, segment))  # type: ignore[no-any-return]


def _contexts(segment: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _frozen_statistics(segment)


@contextmanager
def _frozen_statistics(segment: nn.Module) -> Iterator[None]:
    """The second forward pass of a checkpointed segment must not move the running statistics a second time."""
    norms = [module for module in segment.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        norm.num_batches_tracked = None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
