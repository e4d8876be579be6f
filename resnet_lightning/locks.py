"""One process at a time works on a run: a lock beside its result, on NFS too, that outlives its holder for a minute."""

import logging
import os
import socket
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from flufl.lock import Lock, LockState, NotLockedError, TimeOutError

from resnet_lightning.errors import BadInput, Occupied

SECONDS_WITHOUT_LIFE = 60  # after which a lock is stale; the clocks of all nodes have to agree within half of that
SECONDS_BETWEEN_SIGNS = 15.0
HOST_END = "~"
SECONDS_TO_ACQUIRE = 10  # once it is free or stale; flufl.lock waits up to 2 s after breaking one

logging.getLogger("flufl.lock").setLevel(logging.CRITICAL)  # it reports every stale lock as an error


class HostLock(Lock):
    """A lock that takes a process for dead only where its number means the same: on one host, boot and container.

    flufl.lock goes by the full host name, which may be "localhost" on every node.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), lifetime=SECONDS_WITHOUT_LIFE)
        self._hostname = socket.gethostname() + HOST_END + host_identity()
        self._set_claimfile()

    def _break(self) -> None:
        try:
            _ = self.details
        except (NotLockedError, ValueError):
            # Empty, or zeros: what a machine that lost its power may leave. flufl.lock would respect it for ever.
            Path(self._lockfile).unlink(missing_ok=True)
        else:
            super()._break()


@cache
def host_identity() -> str:
    """What is new with every boot and every container, where the system tells it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        return boot + "".join(filter(str.isdigit, os.readlink("/proc/self/ns/pid")))
    except OSError:
        return ""


class RunLock:
    """Whoever holds it is the only one to work on what a result file will say.

    The lock is a hard link, which NFS makes for one process alone (flufl.lock), and its time stamp lies in the future
    as long as its holder gives signs of life. One whose process has died on this machine is stale at once, any other
    one after a minute.

    Args:
        result: the file that the work will end with, result.json for a training run.
    """

    def __init__(self, result: Path) -> None:
        self.result = result
        self.lock = HostLock(_path(result))
        self.ended = threading.Event()

    def acquire(self) -> None:
        """Raises Occupied if another process is at work, BadInput where no lock can be made."""
        if who := holder(self.result):
            raise Occupied(f"{self.result.parent} is being worked on by {who}")
        try:
            self.lock.lock(timeout=SECONDS_TO_ACQUIRE)
        except TimeOutError as error:
            who = holder(self.result) or "another process"
            raise Occupied(f"{self.result.parent} is being worked on by {who}") from error
        except PermissionError as error:
            raise BadInput(f"cannot lock {self.result.parent}, which needs hard links: {error.strerror}") from error
        except OSError as error:
            error.filename = str(self.result.parent)  # a failed write does not say where
            Path(self.lock.claimfile).unlink(missing_ok=True)
            raise
        threading.Thread(target=self._give_signs, daemon=True).start()
        for claim in self.result.parent.glob(f"{_path(self.result).name}|*"):
            with suppress(OSError):
                if claim.stat().st_mtime < time.time():  # of a process that died before it had the lock
                    claim.unlink()

    def check(self) -> None:
        """Raises Occupied if the lock was lost meanwhile; to be called before anything is written that counts."""
        if not self.lock.is_locked:
            who = holder(self.result) or "another process"
            raise Occupied(
                f"{self.result.parent} was taken over by {who}, since this process gave no sign of life for "
                f"{SECONDS_WITHOUT_LIFE} s"
            )

    def release(self) -> None:
        self.ended.set()
        self.lock.unlock(unconditionally=True)

    def _give_signs(self) -> None:
        while not self.ended.wait(SECONDS_BETWEEN_SIGNS):
            with suppress(OSError, NotLockedError):  # a lost lock is noticed at the next check
                self.lock.refresh()


def holder(result: Path) -> str | None:
    """Who is at work on a result, in words; None if nobody is, or only one who is gone."""
    lock = HostLock(_path(result))
    try:
        host, process, _ = lock.details
        # A process of this number that is not this one's lock: from before a restart of the machine or container.
        if lock.state in (LockState.stale, LockState.ours, LockState.ours_expired):
            # Through the dead process's own link, which goes when its lock is broken: never a lock made since then.
            os.utime(_path(result).read_text(), (0, 0))
            return None
        if lock.expiration + timedelta(seconds=10) < datetime.now():  # flufl.lock's allowance for clocks
            return None
    except (NotLockedError, OSError, ValueError):  # none, or one whose file says nothing
        return None
    return f"process {process} on {host.rpartition(HOST_END)[0]}"


def _path(result: Path) -> Path:
    return result.with_name(f"{result.name}.lock")
