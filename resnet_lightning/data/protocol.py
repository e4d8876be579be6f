"""What the rest of the package asks of a data module, and the answers for one that does not say.

Any LightningDataModule will do: train_dataloader gives batches of images [B, C, H, W] and labels [B], val_dataloader or
test_dataloader, or both, the same. A module of this package also says, by these names:

title           what a table says that the numbers were measured on; by default the class's name
batch_size      images of one training batch over all devices; by default that of the training loader
image_size      pixels on each side; only `summary` needs it
size(name)      number of images in train, val or test, 0 where there is no such set; by default what the loaders say
evaluation      what `test` and `predict` look at: center (the default), ten_crop or multi_scale; of boxes see
                data/detection
damaged_images  how many images were left out so far because they could not be read; by default none
predicted       bool [N]: images that `predict` need not look at again; set from outside
facts(settings) what follows from the data, before anything is made: see Facts; by default nothing does
state_dict()    of its training batches: their position, so that a run goes on with the next batch; by default they are
                counted, and read again (data/repeatable.py)

Batches to evaluate may have a third part, the images' numbers [B], and views in the place of images (data/views.py).
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import torch
from lightning import LightningDataModule
from torch import Tensor

from resnet_lightning.data.repeatable import Repeatable
from resnet_lightning.errors import BadInput

EXPECTED = "expected images float32 [B, C, H, W] and labels int64 [B]"


class Facts(NamedTuple):
    """What a configuration may leave to the data.

    Args:
        classes: of the network's last layer; None if the data is not there to tell.
        iterations: of a run of full length.
        evaluations: of such a run.
    """

    classes: int | None
    iterations: int
    evaluations: int


def facts(class_path: str, settings: Mapping[str, Any]) -> Facts | None:
    """What the data module of a configuration knows of its data, by the module's settings."""
    module, _, name = class_path.rpartition(".")
    ask = getattr(getattr(import_module(module), name), "facts", None)
    found: Facts | None = ask(settings) if ask else None
    return found


def title(data: Any) -> str:
    return str(getattr(data, "title", type(data).__name__))


def evaluation(data: Any) -> str:
    return str(getattr(data, "evaluation", "center"))


def damaged_images(data: Any) -> int:
    return int(getattr(data, "damaged_images", 0))


def counts_itself(data: Any) -> bool:
    """Whether a data module says how many images there are, and not only its loaders."""
    return callable(getattr(data, "size", None))


def batch_size(data: Any) -> int | None:
    """Images of a training batch over all devices, once the data is set up; None if nobody says."""
    found = getattr(data, "batch_size", None)
    return found if isinstance(found, int) else getattr(data.train_dataloader(), "batch_size", None)


def size(data: Any, name: str) -> int:
    """Number of images in train, val or test, once the data is set up; 0 without such a set, 1 if nobody counts."""
    if counts_itself(data):
        return int(data.size(name))
    method = f"{name}_dataloader"
    if getattr(type(data), method) is getattr(LightningDataModule, method):
        return 0
    loaders = getattr(data, method)()
    several = loaders.values() if isinstance(loaders, Mapping) else loaders if isinstance(loaders, list) else [loaders]
    return sum(_length(loader) for loader in several)


def repeatable(data: Any, seed: int) -> None:
    """Lets the training batches of a data module go on where a checkpoint was made, unless they do so themselves."""
    given = data.train_dataloader

    def train_dataloader() -> Any:
        loader = given()
        return loader if hasattr(loader, "state_dict") or isinstance(loader, list | dict) else Repeatable(loader, seed)

    data.train_dataloader = train_dataloader


def first_images(data: Any, count: int) -> tuple[Tensor, Tensor | None]:
    """Some images [B, C, H, W] as the network gets them, and their labels, if they have to be read for it.

    Raises:
        BadInput: if a training batch is something else.
    """
    size = getattr(data, "image_size", None)
    if isinstance(size, int) and counts_itself(data):
        return torch.zeros(count, 3, size, size), None
    batch = data.on_after_batch_transfer(data.on_before_batch_transfer(next(iter(data.train_dataloader())), 0), 0)
    if not (
        isinstance(batch, list | tuple) and len(batch) >= 2 and all(isinstance(part, Tensor) for part in batch[:2])
    ):
        raise BadInput(f"{type(data).__name__} gives training batches of type {type(batch).__name__}: {EXPECTED}")
    images, labels = batch[:2]
    right = images.ndim == 4 and images.is_floating_point() and labels.dtype == torch.int64
    if not right or labels.shape != images.shape[:1]:
        found = " and ".join(f"{str(part.dtype).removeprefix('torch.')} {list(part.shape)}" for part in batch[:2])
        raise BadInput(f"{type(data).__name__} gives training batches of {found}: {EXPECTED}")
    return images[:count], labels


def tested_set(data: Any) -> str:
    """The set that `test` looks at: ImageNet's test labels are not public, so there it is val."""
    return "test" if size(data, "test") else "val"


def _length(loader: Any) -> int:
    try:
        return len(loader.dataset)
    except (AttributeError, TypeError):
        return 1
