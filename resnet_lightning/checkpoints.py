"""Checkpoints that are whole or not there, and are read back as data only."""

import errno
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from resnet_lightning.errors import BadInput
from resnet_lightning.files import write_atomically


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old checkpoint and moves into place; Lightning's own way passes through /tmp."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Raises BadInput when the disk is full; the checkpoints written before are still there."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_atomically(path, lambda file: torch.save(checkpoint, file))
        except (OSError, RuntimeError) as error:
            # torch.save reports a failed write as a RuntimeError that hides the reason.
            if not is_disk_full(error):
                raise
            older = newest_checkpoint(path.parent)
            rest = f"the one before, {older.name}, is untouched" if older else "there is none before it"
            raise BadInput(f"no space left on the device to write checkpoint {path}: {rest}") from error

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> Any:
        """Raises BadInput for a file that is missing or not a whole checkpoint."""
        if not Path(path).is_file():
            raise BadInput(f"checkpoint {path} does not exist")
        try:
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
            if checkpoint and all(isinstance(value, torch.Tensor) for value in checkpoint.values()):
                checkpoint = bare_weights(checkpoint, Path(path).name)
            checkpoint["state_dict"]
        except Exception as error:
            reason = str(error).split(". ")[0] or type(error).__name__  # what torch says next is advice to programmers
            raise BadInput(
                f"{path} is damaged, or no checkpoint of this program ({reason}): if it is a run's own, delete it to "
                "go on from the one before"
            ) from error
        return checkpoint


def bare_weights(weights: dict[str, torch.Tensor], name: str) -> dict[str, Any]:
    """A checkpoint of a file that holds a network's weights alone, such as torchvision's."""
    state = {f"network.{key}": value for key, value in weights.items()}
    for key in [key for key in state if key.endswith("running_mean")]:  # older files lack the counters
        state.setdefault(key.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    return {"state_dict": state, "network": name, "pytorch-lightning_version": lightning.__version__}


def is_disk_full(error: BaseException | None) -> bool:
    """Whether this error, or one that led to it, says that no space or quota is left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of the latest iteration in a run's checkpoints folder, or None."""
    numbers = {path: path.stem.partition("=")[2] for path in folder.glob("iteration=*.ckpt")}
    return max((path for path in numbers if numbers[path].isdigit()), key=lambda p: int(numbers[p]), default=None)
