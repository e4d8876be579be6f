"""Checkpoints that are whole or not there, are known by a checksum, and are read back as data only."""

import errno
import hashlib
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import lightning
import torch
from lightning import Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO

from resnet_lightning.errors import BadInput
from resnet_lightning.files import sha256, write_atomically, write_text
from resnet_lightning.runs.locks import check_lock

KEPT = 2


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old checkpoint and moves into place; Lightning's own way passes through /tmp.

    Beside each checkpoint lies its checksum, iteration=N.ckpt.sha256, in the form of sha256sum. The last two stay.

    A process that has lost the lock of its run writes none.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Raises BadInput when the disk is full; the checkpoints written before are still there."""
        path = Path(path)
        check_lock(path.parent.parent)
        path.parent.mkdir(parents=True, exist_ok=True)

        def write(file: BinaryIO) -> None:
            torch.save(checkpoint, file)
            file.seek(0)
            digest = hashlib.sha256()
            while chunk := file.read(2**20):
                digest.update(chunk)
            # Before the checkpoint is in place, so that it is never without.
            write_text(checksum_file(path), f"{digest.hexdigest()}  {path.name}\n")

        try:
            write_atomically(path, write)
        except (OSError, RuntimeError) as error:
            if not path.exists():
                checksum_file(path).unlink(missing_ok=True)
            # torch.save reports a failed write as a RuntimeError that hides the reason.
            if not is_disk_full(error):
                raise
            older = newest_checkpoint(path.parent)
            rest = f"the one before, {older.name}, is untouched" if older else "there is none before it"
            raise BadInput(f"no space left on the device to write checkpoint {path}: {rest}") from error
        before = [one for one in checkpoints(path.parent) if iteration_of(one) < iteration_of(path)]
        for old in before[KEPT - 1 :]:
            self.remove_checkpoint(old)

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)
        checksum_file(Path(path)).unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> Any:
        """Raises BadInput for a file that is missing or not a whole checkpoint."""
        path = Path(path)
        if not path.is_file():
            raise BadInput(f"checkpoint {path} does not exist")
        try:
            if not is_whole(path):
                raise ValueError("its checksum is another")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
            if checkpoint and all(isinstance(value, torch.Tensor) for value in checkpoint.values()):
                checkpoint = bare_weights(checkpoint, path.name)
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


def checkpoint_file(folder: Path, iteration: int) -> Path:
    """The checkpoint of an iteration in a run's folder."""
    return folder / "checkpoints" / f"iteration={iteration}.ckpt"


def checksum_file(checkpoint: Path) -> Path:
    return checkpoint.with_name(f"{checkpoint.name}.sha256")


def checkpoints(folder: Path) -> list[Path]:
    """The files of a run's checkpoints folder that are named as checkpoints, the latest iteration first."""
    found = [path for path in folder.glob("iteration=*.ckpt") if iteration_of(path)]
    return sorted(found, key=iteration_of, reverse=True)


def iteration_of(checkpoint: Path) -> int:
    """The iteration that a checkpoint's name says, or 0 if it says none.

    >>> iteration_of(Path("checkpoints/iteration=600000.ckpt"))
    600000
    """
    number = checkpoint.stem.rpartition("iteration=")[2]
    return int(number) if number.isdecimal() else 0


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of the latest iteration in a run's checkpoints folder, or None."""
    return next(iter(checkpoints(folder)), None)


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint is as it was written; one without a checksum, from elsewhere, is taken to be."""
    expected = checksum_file(checkpoint)
    return not expected.exists() or expected.read_text(errors="replace").split(" ")[0] == sha256(checkpoint)


def save_unless_whole(trainer: Trainer, path: Path) -> None:
    """Writes a checkpoint if there is no whole one of this name; all processes of a run have to call it."""
    there = trainer.is_global_zero and path.exists() and is_whole(path)
    if not trainer.strategy.broadcast(there):
        trainer.save_checkpoint(path)


def newest_whole_checkpoint(folder: Path, first: bool = True) -> Path | None:
    """The latest checkpoint in a run's checkpoints folder that is as it was written.

    Args:
        first: of several processes, one says which ones are damaged, and lays them aside as *.damaged.
    """
    damaged: list[str] = []
    for path in checkpoints(folder):
        with suppress(FileNotFoundError):  # laid aside by the first process
            if is_whole(path):
                break
        damaged.append(str(path))
        if first:
            checksum_file(path).unlink(missing_ok=True)
            path.replace(path.with_name(f"{path.name}.damaged"))
    else:
        path = None
    if damaged and first:
        instead = f"going on from {path.name}, the one before" if path else "no other is left: beginning again"
        print(f"warning: {', '.join(damaged)}: damaged (the checksum is another); {instead}", file=sys.stderr)
    return path
