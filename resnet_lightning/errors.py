"""The ways in which a command stops for a reason that the user should read in one line."""

import errno
import os
import re
import sys
from argparse import ArgumentError
from collections.abc import Callable, Sequence

from resnet_lightning.files import is_disk_full

INTERRUPTED = "interrupted: the same command goes on from what has been written"  # the last line of a stopped run

# What is wrong with a place on the disk, and not with the program that reads or writes there.
PLACES = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EIO)

NO_METRIC = "Early stopping conditioned on metric"  # Lightning's words; those that there are follow (2.6.6)

OCCUPIED = 75  # exit status of a command whose run another process is at work on: EX_TEMPFAIL


class BadInput(ValueError):
    """Something given by the user cannot be used: the message says what, where, and what would be right."""


class Occupied(RuntimeError):
    """Another process is at work on the same run: the message says which."""


class Diverged(ArithmeticError):
    """The training loss is no longer a finite number.

    Args:
        iteration: completed iterations when it was noticed.
        loss: the mean loss (nats) since the previous look.
    """

    def __init__(self, iteration: int, loss: float) -> None:
        super().__init__(f"diverged: the training loss is {loss} at iteration {iteration:,}")
        self.iteration = iteration


class LostWorker(RuntimeError):
    """A process that reads images is gone."""


class EndedEarly(RuntimeError):
    """Something has ended the training of a run before its iterations were done: the message says what and when."""


class Stopped(SystemExit):
    """A signal asked a run to stop, and it has written a checkpoint of its last iteration.

    Args:
        signal: its number; the exit status is that of a process killed by it.
    """

    def __init__(self, signal: int) -> None:
        super().__init__(128 + signal)


def speaks_for_node() -> bool:
    """Whether this is the process that says what concerns all of a run's processes on this machine, or the only one."""
    return os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")) == "0"


def guarded(function: Callable[[Sequence[str]], int | None], arguments: Sequence[str]) -> None:
    """Ends the process with one line, and no traceback, for what is no fault of the program."""
    try:
        if status := function(arguments):
            sys.exit(status)
    except KeyboardInterrupt:
        sys.exit(130)
    except (Diverged, EndedEarly, Occupied) as error:
        print(f"resnet-lightning: {error}", file=sys.stderr)
        sys.exit(OCCUPIED if isinstance(error, Occupied) else 1)
    except Exception as error:
        if loss := lost_worker(error):
            print(f"resnet-lightning: {loss}", file=sys.stderr)
            sys.exit(1)
        if not (reason := user_reason(error)):
            raise
        if speaks_for_node() or is_distributed():  # in training, something may be wrong with one process only
            print("resnet-lightning: " + " ".join(reason.split()), file=sys.stderr)
        sys.exit(2)


def is_distributed() -> bool:
    """Whether this process trains together with others."""
    torch = sys.modules.get("torch")
    return bool(torch and torch.distributed.is_initialized())


def lost_worker(error: BaseException | None) -> str | None:
    """What to say if a process that reads images is gone, which PyTorch may notice anywhere; None for anything else."""
    while error is not None:
        text = str(error)
        killed = text.startswith(("DataLoader worker (pid", "Pin memory thread exited"))  # PyTorch's own words
        if killed or isinstance(error, LostWorker) or (isinstance(error, MemoryError) and "DataLoader worker" in text):
            signal = re.search(r"killed by signal: (\w[\w ]*)", text)
            how = f"was killed ({signal[1].strip()})" if signal else "ended before its time"
            return (
                f"a process that reads images {how}. Too little memory is the usual reason: fewer --data.workers, or a "
                "smaller --data.batch_size, need less. The same command goes on from what has been written"
            )
        error = error.__cause__ or error.__context__
    return None


def user_reason(error: BaseException | None) -> str | None:
    """What the user gave wrong, if this error, or one that led to it, is about that; None for a fault of ours."""
    if is_disk_full(error) and isinstance(error, OSError):
        return f"no space left on the device to write {error.filename or 'a file'}"
    if isinstance(error, OSError) and error.errno in PLACES and error.filename:
        return f"{error.filename} cannot be read or written: {error.strerror}"
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object!a} has letters that the locale's encoding lacks: LC_ALL=C.UTF-8 has all"
    while error is not None:  # jsonargparse wraps what a constructor raises
        # Lightning's own word for bad settings goes by its name, since importing it takes seconds.
        if isinstance(error, BadInput | ArgumentError) or type(error).__name__ == "MisconfigurationException":
            return str(error)
        if isinstance(error, RuntimeError) and str(error).startswith(NO_METRIC):
            return str(error)
        error = error.__cause__ or error.__context__
    return None
