"""Files that are written whole or not at all, and their checksums."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes beside the file, then moves it into place: after a crash or a full disk the old file is still there.

    Args:
        write: gets a file that can be read back too.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp lets nobody else read
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # a failed write does not say of what
        raise


def write_text(path: Path, text: str) -> None:
    """write_atomically for text."""
    # A file name that the terminal's encoding lacks keeps the bytes that it has on the disk.
    write_atomically(path, lambda file: file.write(text.encode("utf-8", "surrogateescape")))


def remove_unfinished(folder: Path) -> None:
    """Removes what write_atomically leaves when its process is killed; nobody else may be writing there."""
    for path in folder.glob(".*.*"):
        if path.is_file() and len(path.suffix) == 9:  # .result.json.abcd1234: mkstemp's eight characters
            path.unlink(missing_ok=True)


def is_disk_full(error: BaseException | None) -> bool:
    """Whether this error, or one that led to it, says that no space or quota is left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


def sha256(path: Path) -> str:
    """The SHA-256 of a file's contents, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """So that a machine that loses its power has the new name too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
