"""Any loader of training batches as one that goes on: what it draws depends on seed and epoch, and it knows its place.

For loaders that save no position of their own, such as torch's DataLoader.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

END = object()


class Repeatable:
    """The batches of a loader, epoch by epoch.

    The order, and all that torch's, NumPy's and Python's own generators draw while batches are loaded, follows from the
    seed and the epoch. Going on in mid-epoch, the batches before are read again and dropped.

    Args:
        loader: of training batches.
        seed: of the run.
    """

    def __init__(self, loader: Any, seed: int) -> None:
        self.loader = loader
        self.seed = seed
        self.epoch = 0
        self.batches = 0  # given out in this epoch

    def __getattr__(self, name: str) -> Any:  # batch_size, dataset, sampler
        return getattr(self.__dict__["loader"], name)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        if self.batches and self.batches == length(self.loader):  # nobody asked for one more
            self.epoch, self.batches = self.epoch + 1, 0
        stream = Stream()
        with stream.drawing():
            seed_everywhere((self.seed, self.epoch), self.loader)
            batches = iter(self.loader)
            for _ in range(self.batches):
                next(batches, None)
        while True:
            with stream.drawing():
                batch = next(batches, END)
            if batch is END:
                break
            self.batches += 1
            yield batch
        self.epoch, self.batches = self.epoch + 1, 0

    def state_dict(self) -> dict[str, int]:
        # Lightning looks one batch ahead where it cannot know which is the last.
        ahead = 1 if length(self.loader) is None and self.batches else 0
        return {"epoch": self.epoch, "batches": self.batches - ahead}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch, self.batches = state["epoch"], state["batches"]


class Stream:
    """Random numbers of its own: what is drawn inside does not move the generators outside."""

    def __init__(self) -> None:
        self.state: dict[str, Any] | None = None

    @contextmanager
    def drawing(self) -> Iterator[None]:
        outside = random_state()
        if self.state is not None:
            set_random_state(self.state)
        try:
            yield
        finally:
            self.state = random_state()
            set_random_state(outside)


def random_state() -> dict[str, Any]:
    """The states of torch's, NumPy's and Python's own generators, as plain values that a checkpoint may hold."""
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "numpy": (name, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest),
        "python": random.getstate(),
    }


def set_random_state(state: dict[str, Any]) -> None:
    name, keys, *rest = state["numpy"]
    torch.set_rng_state(state["torch"])
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    random.setstate(state["python"])


def seed_everywhere(numbers: tuple[int, ...], loader: Any) -> None:
    """Seeds the generators of all libraries, and those that a loader or its sampler has for itself."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    for owner in (loader, getattr(loader, "sampler", None)):
        if isinstance(generator := getattr(owner, "generator", None), torch.Generator):
            generator.manual_seed(seed)


def length(loader: Any) -> int | None:
    """Batches of an epoch; None if the loader does not know."""
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return None
