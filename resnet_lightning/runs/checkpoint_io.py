"""Checkpoints that are written whole or not at all, have a checksum, and are read back as data only."""

import hashlib
from pathlib import Path
from typing import Any, BinaryIO

import lightning
import torch
from lightning import Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO
from safetensors.torch import load_file

from resnet_lightning.errors import BadInput
from resnet_lightning.files import is_disk_full, write_atomically, write_text
from resnet_lightning.runs.checkpoints import checkpoints, checksum_file, is_whole, iteration_of, newest_checkpoint
from resnet_lightning.runs.locks import check_lock
from resnet_lightning.training.weights import weights_in

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
            contents = (
                load_file(str(path)) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
            )
            weights = weights_in(contents)
        except Exception as error:
            reason = str(error).split(". ")[0] or type(error).__name__  # what torch says next is advice to programmers
            aside = ": move it away to go on from the one before" if iteration_of(path) else ""
            raise BadInput(f"{path} is damaged, or no file of weights ({reason}){aside}") from error
        if isinstance(contents, dict) and "pytorch-lightning_version" in contents:
            return contents
        return {"state_dict": weights, "pytorch-lightning_version": lightning.__version__}


def save_unless_whole(trainer: Trainer, path: Path) -> None:
    """Writes a checkpoint if there is no whole one of this name; all processes of a run have to call it."""
    there = trainer.is_global_zero and path.exists() and is_whole(path)
    if not trainer.strategy.broadcast(there):
        trainer.save_checkpoint(path)
