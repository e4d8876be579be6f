"""Runs what is missing of a study on this machine: every run is a process of its own, several at a time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO

import torch
from rich.console import Console
from rich.live import Live
from rich.table import Table

from resnet_lightning.checkpoints import newest_checkpoint
from resnet_lightning.errors import BadInput
from resnet_lightning.metrics_file import read_metrics
from resnet_lightning.run_folder import EXPERIMENTS, describe, make_folder, read_json, run_folder
from resnet_lightning.studies import TORCHVISION

SECONDS_BETWEEN_LINES = 60.0
SECONDS_TO_STOP = 60.0


@dataclass
class Job:
    """One run of a study, or an evaluation of one."""

    folder: Path
    arguments: list[str]
    command: str = "fit"
    result: str = "result.json"  # in the folder: its presence means that the job is done
    state: str = "waiting"
    error: str = ""
    slot: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return str(self.folder) if self.command == "fit" else f"{self.folder}, {Path(self.result).stem}"

    def outcome(self) -> str | None:
        """How the job ended, or None if it is not done."""
        result = read_json(self.folder / self.result)
        return result.get("state", "finished") if result and result.get("complete", True) else None

    def progress(self) -> dict[str, str]:
        """Iteration, errors, speed and time left, in words, from the run's folder."""
        if self.command != "fit":
            return {}
        try:
            info, rows = read_json(self.folder / "run.json"), read_metrics(self.folder / "metrics.csv")
        except BadInput:
            return {}  # one damaged run must not stop the others; its own process says what is wrong
        if info is None or not rows:
            return {}
        latest: dict[str, str] = {}
        for _, row in sorted(rows.items()):
            latest |= row
        tested = latest.get("test/error") or latest.get("val/error")  # ImageNet's test labels are not public
        done, total, speed = max(rows), info["iterations"], float(latest.get("images_per_second", 0))
        left = timedelta(seconds=round((total - done) * info["batch_size"] / speed)) if speed else ""
        return {
            "iteration": f"{done:,} of {total:,}",
            "training error %": f"{float(latest['train/error']):.2f}" if "train/error" in latest else "",
            "test error %": f"{float(tested):.2f}" if tested else "",
            "images/s": f"{speed:,.0f}",
            "time left": str(left) if self.state == "running" else "",
        }


def list_jobs(
    experiments: Sequence[str], seeds: Sequence[int], data: str | None, steps: int | None, overlays: Sequence[str]
) -> list[Job]:
    """Every run of every experiment and seed.

    Args:
        data: the folder of the data; None leaves it to the experiment.
        steps: iterations of a shortened run; the schedule's drops and the evaluations move with it.
        overlays: configuration files laid over every experiment.

    Raises:
        BadInput: if a file is missing or a number makes no sense.
    """
    if steps is not None and steps < 1:
        raise BadInput(f"STEPS={steps}: expected the number of iterations, at least 1")
    jobs = []
    for experiment in experiments:
        leaf = Path(EXPERIMENTS, experiment).with_suffix(".yaml")
        base = next((folder / "base.yaml" for folder in leaf.parents if (folder / "base.yaml").exists()), None)
        for path in (leaf, *map(Path, overlays)):
            if not path.is_file():
                raise BadInput(f"{path} does not exist (the working folder is {Path.cwd()})")
        configs = [base, leaf, *overlays] if base else [leaf, *overlays]
        arguments = [f"--config={path}" for path in configs]
        if steps:
            # 20 points to a curve, and about three rows of training error to each.
            arguments += [
                f"--trainer.max_steps={steps}",
                f"--trainer.val_check_interval={max(1, steps // 20)}",
                f"--trainer.log_every_n_steps={max(1, min(100, steps // 60))}",
            ]
        if data:
            arguments.append(f"--data.root={data}")
        for seed in seeds:
            full = [*arguments, f"--seed_everything={seed}"]
            jobs.append(Job(run_folder(*describe(full), seed), full))
    return jobs


def list_evaluations(runs: Sequence[Job], evaluation: str, command: str, data: str | None) -> list[Job]:
    """The evaluation of the last checkpoint of every finished run.

    Args:
        evaluation: center, ten_crop or multi_scale.
        command: test, predict or lesions.
        data: the folder of the data; None leaves it to the run.
    """
    jobs = []
    for run in runs:
        checkpoint = newest_checkpoint(run.folder / "checkpoints")
        if run.state == "finished" and checkpoint:
            arguments = [f"--config={run.folder / 'config.yaml'}", f"--ckpt_path={checkpoint}"]
            arguments += [f"--data.root={data}"] * bool(data)
            jobs.append(evaluation_job(run.folder, arguments, evaluation, command))
    return jobs


def list_weights(
    experiments: Sequence[str], weights: str, evaluation: str, command: str, data: str | None, overlays: Sequence[str]
) -> list[Job]:
    """The evaluation of torchvision's weight files in a folder, for the experiments of whose networks there are any.

    Raises:
        BadInput: if the folder holds none of them.
    """
    names = {experiment: TORCHVISION[experiment] for experiment in experiments if experiment in TORCHVISION}
    jobs = []
    for experiment, name in names.items():
        for path in sorted(Path(weights).glob(f"{name}[-.]*pth")):
            [job] = list_jobs([experiment], [0], data, None, overlays)
            # As these weights were trained.
            arguments = [*job.arguments, "--data.normalization=channel_mean_std", "--model.bn_batches=0"]
            if name in ("resnet50", "resnet101", "resnet152"):
                arguments.append("--model.network.init_args.stride_in=3x3")
            named, changes = describe(arguments)
            folder = run_folder(named, [*changes, f"weights={path.stem}"], 0)
            jobs.append(evaluation_job(folder, [*arguments, f"--ckpt_path={path}"], evaluation, command))
    if not jobs:
        expected = ", ".join(f"{name}-*.pth" for name in names.values()) or "no networks of torchvision in this study"
        raise BadInput(f"WEIGHTS={weights}: no weight files of this study's networks in that folder ({expected})")
    return jobs


def evaluation_job(folder: Path, arguments: list[str], evaluation: str, command: str) -> Job:
    names = {"test": f"test-{evaluation}", "predict": f"predictions-{evaluation}", "lesions": "lesions"}
    # Data in memory has one evaluation, and no option for it.
    arguments = [*arguments, f"--data.evaluation={evaluation}"] if evaluation != "center" else arguments
    return Job(folder, arguments, command, f"{names[command]}.json")


def run_jobs(jobs: Sequence[Job], at_once: int | None) -> bool:
    """Runs the jobs that have no result yet and shows how far they are; whether all have one in the end.

    A failed run does not stop the others. Interrupting stops all; the same command goes on from their checkpoints.
    """
    for job in jobs:
        make_folder(job.folder)
        job.state = job.outcome() or job.state
    waiting = [job for job in jobs if job.state == "waiting"]
    gpus, cores = torch.cuda.device_count(), os.cpu_count() or 1
    # A thread alone does more than one of two that share a run (ResNet-20: 803 against 659 images/s each).
    at_once = at_once or max(1, min(len(waiting), gpus or min(cores, max(2, cores // 2))))
    threads = max(1, cores // at_once)
    free = list(range(at_once))
    terminal = sys.stdout.isatty()
    said = 0.0
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    live = Live(console=Console(), refresh_per_second=2, get_renderable=lambda: overview(jobs))
    try:
        if terminal:
            live.start()
        while waiting or any(job.process for job in jobs):
            while waiting and free:
                job = waiting.pop(0)
                start(job, free.pop(0), threads, gpus)
                if not terminal:
                    print(f"started {job.name}", flush=True)
            for job in jobs:
                if job.process and job.process.poll() is not None:
                    free.append(job.slot)
                    finish(job)
                    if not terminal:
                        print(line(job), flush=True)
            if not terminal and time.monotonic() - said > SECONDS_BETWEEN_LINES:
                for job in jobs:
                    if job.process and job.progress():
                        print(line(job), flush=True)
                said = time.monotonic()
            time.sleep(0.2)
    except KeyboardInterrupt:
        stop(jobs)
        raise
    finally:
        if terminal:
            live.stop()
        signal.signal(signal.SIGTERM, previous)
    return all(job.state in ("finished", "diverged") for job in jobs)


def start(job: Job, slot: int, threads: int, gpus: int) -> None:
    """Starts the process of a run; what it prints goes into its folder."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = str(slot % gpus)
    command = [sys.executable, "-m", "resnet_lightning", job.command, *job.arguments]
    log: IO[bytes]
    with (job.folder / "log.txt").open("ab") as log:
        job.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    job.state, job.slot = "running", slot


def finish(job: Job) -> None:
    """Notes how a run ended."""
    job.process = None
    job.state = job.outcome() or "failed"
    if job.state == "failed":
        lines = (job.folder / "log.txt").read_text(errors="replace").strip().splitlines()
        job.error = lines[-1].removeprefix("resnet-lightning: ") if lines else "no reason given"


def stop(jobs: Sequence[Job]) -> None:
    """Ends all running processes, first politely."""
    running = [job.process for job in jobs if job.process]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + SECONDS_TO_STOP
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()


def line(job: Job) -> str:
    """How far a run is, for a log file."""
    words = ", ".join(f"{name} {value}" for name, value in job.progress().items() if value)
    said = job.error or words
    return f"{job.state} {job.name}" + (f": {said}" if said else "")


def overview(jobs: Sequence[Job]) -> Table:
    """How far all runs are, for a terminal."""
    table = Table(box=None)
    columns = ["iteration", "training error %", "test error %", "images/s", "time left"]
    table.add_column("run")
    table.add_column("state")
    for column in columns:
        table.add_column(column, justify="right")
    for job in jobs:
        progress = {} if job.state == "waiting" else job.progress()
        cells = [progress.get(column, "") for column in columns]
        table.add_row(job.name, job.state, *cells)
        if job.error:
            table.add_row("", f"[red]{job.error}[/red]")
    return table
