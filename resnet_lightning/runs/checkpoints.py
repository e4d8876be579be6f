"""The checkpoint files of a run: their names, their checksums, and which of them is whole; without torch."""

import sys
from contextlib import suppress
from pathlib import Path

from resnet_lightning.files import sha256


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
    return not expected.exists() or expected.read_text(encoding="utf-8", errors="replace").split(" ")[0] == sha256(
        checkpoint
    )


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
