"""One run, one process: locks, those of the dead, and what a process does that has lost its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import QUICK, fit
from processes import PATIENCE, Forked, wait_for

from resnet_lightning.errors import OCCUPIED, Occupied
from resnet_lightning.runs.locks import RunLock, holder
from resnet_lightning.runs.metrics_logger import MetricsFile

TAKER = """
import sys, time
from pathlib import Path
from resnet_lightning.errors import Occupied
from resnet_lightning.runs.locks import RunLock
lock = RunLock(Path(sys.argv[1]))
try:
    lock.acquire()
    sys.stdin.readline()
    lock.check()
except Occupied:
    sys.exit(75)
finally:
    lock.release()
"""


def taker(path: Path) -> "subprocess.Popen[str]":
    """A process that takes a lock, or ends; it holds the lock until it is sent a line."""
    return subprocess.Popen([sys.executable, "-c", TAKER, str(path)], stdin=subprocess.PIPE, text=True)


def test_one_process_of_many_gets_a_lock_even_a_dead_ones(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    dead = taker(path)
    while holder(path) is None:
        time.sleep(0.01)
    assert f"process {dead.pid} on " in str(holder(path))
    with pytest.raises(Occupied, match=f"process {dead.pid} on "):
        RunLock(path).acquire()
    dead.kill()
    dead.communicate()
    assert holder(path) is None
    takers = [taker(path) for _ in range(4)]
    deadline = time.monotonic() + 30
    # Two may break the dead one's lock at the same moment: the first has lost it then, and notices at its check.
    while sum(process.poll() is None for process in takers) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    for process in takers:
        process.communicate("\n", timeout=PATIENCE)
    assert sorted(process.returncode for process in takers) == [0, OCCUPIED, OCCUPIED, OCCUPIED]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("contents", [b"", bytes(50), b"\x92\xff"])
def test_a_lock_that_names_nobody_is_stale_soon(tmp_path: Path, contents: bytes) -> None:
    path, lock = tmp_path / "result.json", tmp_path / "result.json.lock"
    lock.write_bytes(contents)
    os.utime(lock, (time.time() - 15, time.time() - 15))
    assert holder(path) is None
    RunLock(path).acquire()
    assert f"|{os.getpid()}|" in lock.read_text()


def test_a_lock_of_another_host_is_stale_after_a_minute_without_a_sign(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    claim = tmp_path / "result.json.lock|elsewhere~1|7|1"
    claim.write_text(str(claim))
    (tmp_path / "result.json.lock").hardlink_to(claim)
    os.utime(claim, (time.time() + 60, time.time() + 60))
    assert holder(path) == "process 7 on elsewhere"
    os.utime(claim, (time.time() - 15, time.time() - 15))
    assert holder(path) is None
    lock = RunLock(path)
    lock.acquire()
    lock.check()
    # Taken over by somebody for whom this process was dead: it may write no more.
    (tmp_path / "result.json.lock").unlink()
    with pytest.raises(Occupied, match="was taken over"):
        lock.check()
    lock.release()


def test_two_commands_do_not_work_on_one_run(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = Forked("fit", *QUICK, "--trainer.max_steps=100000", "--run=r", "--checkpoint_every=5")
    wait_for(Path("r", "checkpoints", "iteration=5.ckpt"), first)
    with pytest.raises(SystemExit) as exit:
        fit("--trainer.max_steps=100000", "--run=r")
    assert exit.value.code == OCCUPIED
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"resnet-lightning: r is being worked on by process {first.pid} on ")
    first.kill()


def test_a_process_that_has_lost_its_run_writes_no_curve(tmp_path: Path) -> None:
    lock, file = RunLock(tmp_path / "result.json"), MetricsFile(tmp_path / "metrics.csv")
    lock.acquire()
    file.log_metrics({"train/error": 1.0}, 100)
    before = file.path.read_text()
    (tmp_path / "result.json.lock").unlink()
    with pytest.raises(Occupied, match="was taken over"):
        file.save()
    assert file.path.read_text() == before
    lock.release()
