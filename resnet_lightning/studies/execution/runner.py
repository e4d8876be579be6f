"""Runs the jobs of a study on this machine: every run is a process of its own, several at a time."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from resnet_lightning.errors import BadInput
from resnet_lightning.runs.folder import make_folder
from resnet_lightning.studies.execution.jobs import Job
from resnet_lightning.studies.execution.preparation import Machine

SECONDS_BETWEEN_LINES = 60.0
SECONDS_BETWEEN_LOOKS = 3.0  # at runs that others are at work on
SECONDS_TO_STOP = 120.0  # for an iteration, and a checkpoint on a slow disk


def run_jobs(jobs: Sequence[Job], at_once: int | None, machine: Machine, retry: bool = False) -> bool:
    """Runs the jobs that have no result yet and shows how far all are; whether all have one in the end.

    A failed run does not stop the others. Runs that other processes are at work on are waited for, and taken over if
    those die.

    Args:
        at_once: how many, by default one per GPU, or per CPU core.
        machine: its GPUs, and how many devices one run takes.
        retry: runs that have failed before, too.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM, when every run has finished its iteration and saved it.
    """
    for job in jobs:
        make_folder(job.folder)
        job.look(retry)
    devices, cores = machine.devices, os.cpu_count() or 1
    gpus = machine.gpus // devices
    unfinished = sum(not job.done for job in jobs)
    # A thread alone does more than one of two that share a run (ResNet-20: 803 against 659 images/s each).
    at_once = at_once or max(1, min(unfinished, gpus or min(cores, max(2, cores // 2)) // devices))
    threads = max(1, cores // (at_once * devices))
    free = list(range(at_once))
    looked = time.monotonic()
    with watched(jobs) as say, asked_to_stop():
        try:
            while any(job.state in ("waiting", "running", "elsewhere") for job in jobs):
                for job in jobs:
                    if job.process and (status := job.process.poll()) is not None:
                        free.append(job.slot)
                        job.finish(status)
                        say(job)
                    elif job.state == "waiting" and free:
                        job.slot = free.pop(0)
                        environment = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}
                        if gpus:
                            environment["CUDA_VISIBLE_DEVICES"] = visible(job.slot % gpus, machine)
                        try:
                            job.start(environment)
                        except (BadInput, OSError) as error:
                            free.append(job.slot)
                            job.fail(str(error))
                        say(job)
                if time.monotonic() - looked > SECONDS_BETWEEN_LOOKS:
                    for job in jobs:
                        if job.state == "elsewhere":
                            job.look()
                            if job.state != "elsewhere":
                                say(job)
                    looked = time.monotonic()
                time.sleep(0.2)
        except BaseException:  # whatever it was, no run may be left behind
            stop(jobs)
            raise
    return all(job.done for job in jobs)


def visible(place: int, machine: Machine) -> str:
    """CUDA_VISIBLE_DEVICES of the run at a place: its part of those that this process may use."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    mine = given.split(",") if given else list(map(str, range(machine.gpus)))
    return ",".join(mine[place * machine.devices : (place + 1) * machine.devices])


@contextmanager
def asked_to_stop() -> Iterator[None]:
    """Makes SIGTERM and a closed terminal the same as Ctrl-C."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # nohup
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop(jobs: Sequence[Job]) -> None:
    """Lets all running processes finish their iteration and save it; asked once more, or in vain, kills them."""
    for number in (signal.SIGHUP, signal.SIGTERM):  # a closed terminal sends more than one
        signal.signal(number, signal.SIG_IGN)
    running = [(job, job.process) for job in jobs if job.process]
    for _, process in running:
        process.terminate()
    if running:
        with suppress(OSError):  # a closed terminal
            print("stopping: every run finishes its iteration and saves it (Ctrl-C kills them)", file=sys.stderr)
    deadline = time.monotonic() + SECONDS_TO_STOP
    try:
        for _, process in running:
            process.wait(max(0.0, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        for _, process in running:
            process.kill()
    for job, process in running:
        job.finish(process.wait())


@contextmanager
def watched(jobs: Sequence[Job]) -> Iterator[Callable[[Job], None]]:
    """Shows all jobs: a live table on a terminal, plain lines otherwise. Yields what says that a job has changed."""
    if not sys.stdout.isatty():
        with lines_of(jobs) as say:
            yield say
        return
    with Live(console=Console(), refresh_per_second=1, get_renderable=lambda: overview(jobs)):
        yield lambda job: None


@contextmanager
def lines_of(jobs: Sequence[Job]) -> Iterator[Callable[[Job], None]]:
    """A line for each change, and once a minute one for each run."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(SECONDS_BETWEEN_LINES):
            for job in jobs:
                if job.state in ("running", "elsewhere") and job.progress():
                    print(line(job), flush=True)

    for job in jobs:
        if job.state in ("elsewhere", "failed"):
            print(line(job), flush=True)
    threading.Thread(target=repeat, daemon=True).start()
    try:
        yield lambda job: print(line(job), flush=True)
    finally:
        ended.set()


def line(job: Job) -> str:
    """How far a run is, for a log file."""
    words = ", ".join(f"{name} {value}" for name, value in job.progress().items() if value)
    said = ", ".join(part for part in (job.error, words if job.state != "failed" else "") if part)
    return f"{job.state} {job.name}" + (f": {said}" if said else "")


def overview(jobs: Sequence[Job]) -> Table:
    """How far all runs are, for a terminal."""
    table = Table(box=None)
    columns = ["iteration", "training error %", "test error %", "mAP %", "images/s", "time left"]
    table.add_column("run")
    table.add_column("state")
    for column in columns:
        table.add_column(column, justify="right")
    for job in jobs:
        progress = {} if job.state == "waiting" else job.progress()
        cells = [progress.get(column, "") for column in columns]
        table.add_row(job.name, job.state, *cells)
        if job.error:
            table.add_row("", f"[red]{escape(job.error)}[/red]")
    return table
