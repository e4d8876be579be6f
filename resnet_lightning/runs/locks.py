"""One process at a time works on a run: a lock beside its result, on NFS too, that outlives its holder for a minute."""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flufl.lock import Lock, NotLockedError, TimeOutError
from psutil import pid_exists

from resnet_lightning.compat import break_unreadable, name_host
from resnet_lightning.errors import BadInput, Occupied

SECONDS_WITHOUT_LIFE = 60  # after which a lock is stale; the clocks of all nodes have to agree within half of that
SECONDS_BETWEEN_SIGNS = 15.0
HOST_END = "~"
ALLOWANCE = 10.0  # seconds that flufl.lock adds, for clocks that differ
SECONDS_TO_ACQUIRE = 10  # once it is free or stale; flufl.lock waits up to 2 s after breaking one

HELD: dict[Path, "RunLock"] = {}  # this process's locks, by the run's folder

logging.getLogger("flufl.lock").setLevel(logging.CRITICAL)  # it reports every stale lock as an error


def host_lock(path: Path) -> Lock:
    """A lock that takes a process for dead only where its number means the same: on one host, boot and container."""
    lock = Lock(str(path), lifetime=SECONDS_WITHOUT_LIFE)
    name_host(lock, socket.gethostname() + HOST_END + host_identity())
    break_unreadable(lock)
    return lock


@cache
def host_identity() -> str:
    """What is new with every boot and every container, where the system tells it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8")[:8]
        return boot + "".join(filter(str.isdigit, os.readlink("/proc/self/ns/pid")))
    except OSError:
        return ""


class RunLock:
    """Lets one process at a time work on a run, or on one of its evaluations.

    The lock is a hard link, since of many processes only one can make it, on NFS too (flufl.lock). Its holder sets its
    time stamp a minute ahead, again and again. After the holder's death the lock is free: at once on the same machine,
    after that minute on another one.

    Args:
        result: the file that the work will end with, result.json for a training run.
    """

    def __init__(self, result: Path) -> None:
        self.result = result
        self.lock = host_lock(_path(result))
        self.ended = threading.Event()

    def acquire(self) -> None:
        """Raises Occupied if another process is at work, BadInput where no lock can be made."""
        path = _path(self.result)
        found, seen = _find_holder(self.result), _time_of(path)
        while found:
            # One on another host may have died a moment ago: it is at work if it gives a sign of life.
            if found.here or _time_of(path) != seen:
                raise Occupied(f"{self.result.parent} is being worked on by {found}")
            time.sleep(1)
            found = _find_holder(self.result)
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
        HELD[self.result.parent.absolute()] = self
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
        HELD.pop(self.result.parent.absolute(), None)
        self.lock.unlock(unconditionally=True)

    def _give_signs(self) -> None:
        while not self.ended.wait(SECONDS_BETWEEN_SIGNS):
            with suppress(OSError, NotLockedError):  # a lost lock is noticed at the next check
                self.lock.refresh()


@contextmanager
def locked(result: Path, first: bool = True) -> Iterator[None]:
    """Keeps other runs away from the work on a result; of several processes, the first one does that for all."""
    if not first:
        yield
        return
    lock = RunLock(result)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def check_lock(folder: Path) -> None:
    """Raises Occupied if this process has had a lock in a run's folder and has lost it; before whatever is written."""
    if lock := HELD.get(folder.absolute()):
        lock.check()


def holder(result: Path) -> str | None:
    """Who is at work on a result, in words; None if nobody is, or only one who is gone."""
    found = _find_holder(result)
    return str(found) if found else None


@dataclass(frozen=True)
class Holder:
    """A process that has a lock.

    Args:
        host, process: its name and number; empty and 0 if the lock does not say.
        here: whether the process is known to live, since it is one of this machine.
    """

    host: str
    process: int
    here: bool

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}" if self.host else "another process"


def _find_holder(result: Path) -> Holder | None:
    path = _path(result)
    try:
        expires = path.stat().st_mtime
        *_, host, number, _ = name = path.read_text(encoding="utf-8").split("|")
        process = int(number)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):  # it says nothing
        host, process, name = "", 0, []
    if expires + ALLOWANCE < time.time():
        return None
    if host != host_lock(path).hostname:
        return Holder(host.rpartition(HOST_END)[0], process, here=False)
    # A process of this number that is not this one's lock: from before a restart of the machine or container.
    if pid_exists(process) and process != os.getpid():
        return Holder(host.rpartition(HOST_END)[0], process, here=True)
    # Through the dead process's own link, which goes when its lock is broken: never a lock made since then.
    with suppress(OSError):
        os.utime(path.with_name(Path("|".join(name)).name), (0, 0))
    return None


def _time_of(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _path(result: Path) -> Path:
    return result.with_name(f"{result.name}.lock")
