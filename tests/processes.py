"""The command line in processes of its own, for the tests that send signals to it, kill it, or let several meet."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 300.0  # seconds for what takes ten on an idle machine
OUTPUT = Path("output.txt")  # what the processes print, in the working folder
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["resnet_lightning.runs.life", "resnet_lightning.callbacks", "resnet_lightning.data"])


class Forked:
    """A process that is forked from one which has imported the package and done nothing else.

    A new process of Python takes five seconds for that.
    """

    def __init__(self, *arguments: str) -> None:
        self.process = SERVER.Process(target=become, args=(arguments, os.getcwd(), dict(os.environ)))
        self.process.start()
        STARTED.append(self)
        self.pid = self.process.ident or 0

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float = PATIENCE) -> int:
        self.process.join(timeout)
        status = self.process.exitcode
        assert status is not None, f"still running after {timeout} s\n{OUTPUT.read_text(encoding='utf-8')}"
        return status

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kills it as the operating system does, and waits for its end."""
        self.send_signal(signal.SIGKILL)
        self.wait()


def become(arguments: tuple[str, ...], folder: str, environment: dict[str, str]) -> None:
    """What a forked process does: the command line, in that folder."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.argv = ["resnet-lightning", *arguments]
    from resnet_lightning.cli import main

    main(arguments)


STARTED: list[Forked] = []


def kill_forked() -> None:
    """Kills what a test that failed has left behind."""
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.kill()


def start(*arguments: str) -> "subprocess.Popen[str]":
    """The command line as a new process of Python: of those that start processes themselves."""
    command = [sys.executable, "-m", "resnet_lightning", *arguments]
    with OUTPUT.open("a", encoding="utf-8") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, text=True)


def run(*arguments: str) -> str:
    """Runs the command line as a new process of Python to its end; what it printed."""
    status, output = start(*arguments).wait(PATIENCE), OUTPUT.read_text(encoding="utf-8")
    assert status == 0, output
    return output


def wait_for(path: Path, process: "Forked | subprocess.Popen[str]") -> None:
    """Waits until a process has written a file."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline, OUTPUT.read_text(encoding="utf-8")
        time.sleep(0.001)
