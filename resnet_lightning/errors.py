"""The ways in which a command stops for a reason that the user should read in one line."""

import os

INTERRUPTED = "interrupted: the same command goes on from what has been written"  # the last line of a stopped run

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
