"""The jobs of a study: the runs behind its table or figure, and the evaluations of those that are finished."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from resnet_lightning.errors import OCCUPIED, BadInput
from resnet_lightning.files import write_text
from resnet_lightning.runs.checkpoints import newest_checkpoint
from resnet_lightning.runs.experiments import experiment_files, find_file, longer
from resnet_lightning.runs.folder import make_folder, read_json, result_file, run_folder
from resnet_lightning.runs.locks import holder
from resnet_lightning.runs.metrics_file import read_metrics
from resnet_lightning.runs.naming import describe
from resnet_lightning.studies.experiments import BACKBONES, TORCHVISION

# Statuses of a run that was asked to stop and has saved what it had, or had nothing to save yet.
STOPPED = {128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)}
STOPPED |= {-signal.SIGINT, -signal.SIGTERM}


@dataclass
class Job:
    """One run of a study, or an evaluation of one.

    Its state is waiting, running (by this runner), elsewhere (another process is at work on it), finished, diverged,
    stopped (it was asked to, and goes on with the next call) or failed.
    """

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

    @property
    def line(self) -> list[str]:
        """Its command line."""
        return [sys.executable, "-m", "resnet_lightning", self.command, *self.arguments]

    @property
    def failure(self) -> Path:
        """The file that holds the reason of a failure: with it, the job is tried again only when that is asked for."""
        return self.folder / f"{Path(self.result).stem}.failed"

    @property
    def task(self) -> Path:
        """The file that holds the number of the task that does the job on a cluster."""
        return self.folder / f"{Path(self.result).stem}.task"

    @property
    def log(self) -> Path:
        """What it prints; an evaluation has a file of its own, since two may be at work at once."""
        return self.folder / ("log.txt" if self.command == "fit" else f"{Path(self.result).stem}.txt")

    @property
    def done(self) -> bool:
        return self.state in ("finished", "diverged")

    def outcome(self) -> str | None:
        """How the job ended, or None if it is not done."""
        result = read_json(self.folder / self.result)
        return result.get("state", "finished") if result and result.get("complete", True) else None

    def look(self, retry: bool = False) -> None:
        """Finds out from the folder how the job stands, which other runners may be at work on.

        Args:
            retry: a failure counts for nothing.
        """
        self.error = ""
        try:
            if outcome := self.outcome():
                self.state = outcome
            elif who := holder(self.folder / self.result):
                self.state, self.error = "elsewhere", who
            elif not retry and (reason := self.reason()):
                self.state, self.error = "failed", reason
            else:
                self.state = "waiting"
        except BadInput as error:  # a damaged result must not stop the others
            self.state, self.error = "failed", str(error)

    def reason(self) -> str:
        """Why it failed before; empty if it has not."""
        try:
            return self.failure.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return ""

    def start(self, environment: dict[str, str]) -> None:
        """Starts its process, which prints into its log; Ctrl-C does not reach it unless the runner passes it on."""
        make_folder(self.folder)
        self.failure.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.line,
                env=os.environ | environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.state, self.error = "running", ""

    def finish(self, status: int) -> None:
        """Notes how its process ended."""
        self.process = None
        try:
            outcome = self.outcome()
        except BadInput as error:
            return self.fail(str(error))
        if outcome:
            self.state = outcome
        elif status == OCCUPIED:
            self.state, self.error = "elsewhere", last_line(self.log)
        elif status in STOPPED:
            self.state = "stopped"
        elif status < 0:  # by a signal from outside: nothing is known to be wrong with the run
            self.state, self.error = "failed", f"killed by {signal.Signals(-status).name}"
        else:
            self.fail(last_line(self.log))

    def fail(self, reason: str) -> None:
        """Notes that the job failed, for other runners and later calls too."""
        self.state, self.error = "failed", reason
        with suppress(OSError):  # on a full disk only this runner knows
            write_text(self.failure, reason + "\n")

    def progress(self) -> dict[str, str]:
        """Iteration, errors, speed and time left, in words, from the run's folder."""
        if self.command != "fit":
            return {}
        metrics = self.folder / "metrics.csv"
        try:
            info = read_json(self.folder / "run.json")
            last, latest = latest_metrics(metrics, metrics.stat().st_mtime_ns)
            return self._progress(info, last, latest) if info and latest else {}
        except (BadInput, OSError, KeyError, TypeError, ValueError):
            return {}  # one damaged run must not stop the others; its own process says what is wrong

    def _progress(self, info: dict[str, Any], last: int, latest: dict[str, str]) -> dict[str, str]:
        tested = latest.get("test/error") or latest.get("val/error")  # ImageNet's test labels are not public
        mean_ap = latest.get("test/mAP")
        total, speed = info["iterations"], float(latest.get("images_per_second", 0))
        left = timedelta(seconds=round((total - last) * info["batch_size"] / speed)) if speed else ""
        return {
            "iteration": f"{last:,} of {total:,}",
            "training error %": f"{float(latest['train/error']):.2f}" if "train/error" in latest else "",
            "test error %": f"{float(tested):.2f}" if tested else "",
            "mAP %": f"{float(mean_ap):.2f}" if mean_ap else "",
            "images/s": f"{speed:,.0f}",
            "time left": str(left) if self.state in ("running", "elsewhere") else "",
        }


@lru_cache(maxsize=1024)
def latest_metrics(path: Path, changed: int) -> tuple[int, dict[str, str]]:
    """The last iteration of a metrics.csv that was changed then, and the latest value of every column."""
    rows, latest = read_metrics(path), dict[str, str]()
    for _, row in sorted(rows.items()):
        latest |= row
    return max(rows, default=0), latest


def last_line(log: Path) -> str:
    """The last line that a process printed: the reason of its failure."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("resnet-lightning: ") if lines else "no reason given"


def list_jobs(
    experiments: Sequence[str],
    seeds: Sequence[int],
    data: str | None,
    steps: int | None,
    overlays: Sequence[str],
    changes: Sequence[str] = (),
    in_proportion: bool = False,
    weights: str | None = None,
) -> list[Job]:
    """Every run of every experiment and seed.

    Args:
        data: the folder of the data; None leaves it to the experiment.
        steps: iterations of a shortened run; the schedule's drops and the evaluations move with it.
        overlays: configuration files laid over every experiment.
        changes: more options of `fit`.
        in_proportion: the steps are those of an experiment of base.yaml's length, and others have more or fewer.
        weights: the folder of torchvision's files, one of which every detector begins with; None leaves it to the
            experiment.

    Raises:
        BadInput: if a file is missing or a number makes no sense.
    """
    if steps is not None and steps < 1:
        raise BadInput(f"STEPS={steps}: expected the number of iterations, at least 1")
    jobs = []
    for experiment in experiments:
        files = [*experiment_files(experiment), *(find_file(Path(path)) for path in overlays)]
        for path in files:
            if not path.is_file():
                raise BadInput(f"{path} does not exist (the working folder is {Path.cwd()})")
        arguments = [f"--config={path}" for path in files]
        if steps:
            length = round(steps * longer(files)) if in_proportion else steps
            # 20 points to a curve, and about three rows of training error to each.
            arguments += [
                f"--trainer.max_steps={length}",
                f"--trainer.val_check_interval={max(1, length // 20)}",
                f"--trainer.log_every_n_steps={max(1, min(100, length // 60))}",
            ]
        if data:
            arguments.append(f"--data.root={data}")
        arguments += changes
        if weights:
            arguments += begun_with(experiment, weights)
        for seed in seeds:
            full = [*arguments, f"--seed_everything={seed}"]
            jobs.append(Job(run_folder(*describe(full), seed), full))
    return jobs


def begun_with(experiment: str, weights: str) -> list[str]:
    """The options by which a detector begins with torchvision's weights; BadInput if there are none in the folder."""
    name = BACKBONES.get(experiment)
    found = sorted(Path(weights).glob(f"{name}[-.]*pth")) if name else []
    if not found:
        expected = f"{name}-*.pth" if name else f"none are for {experiment}: leave it out by ONLY="
        raise BadInput(f"WEIGHTS={weights}: no weight file of this study's networks in that folder ({expected})")
    stride = ["--model.network.init_args.backbone.init_args.stride_in=3x3"] * name.startswith("resnet")  # type: ignore[union-attr]
    return [f"--model.pretrained={found[0]}", *stride]


def list_evaluations(runs: Sequence[Job], evaluations: Sequence[str], command: str, data: str | None) -> list[Job]:
    """The evaluations of the last checkpoint of every finished run.

    Args:
        evaluations: some of center, ten_crop, multi_scale and refined.
        command: test, predict or lesions.
        data: the folder of the data; None leaves it to the run.
    """
    jobs = []
    for run in runs:
        checkpoint = newest_checkpoint(run.folder / "checkpoints")
        if run.outcome() == "finished" and checkpoint:
            arguments = [f"--config={run.folder / 'config.yaml'}", f"--ckpt_path={checkpoint}"]
            arguments += [f"--data.root={data}"] * bool(data)
            jobs += [evaluation_job(run.folder, arguments, evaluation, command) for evaluation in evaluations]
    return jobs


def list_weights(
    experiments: Sequence[str],
    weights: str,
    evaluations: Sequence[str],
    command: str,
    data: str | None,
    overlays: Sequence[str],
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
            arguments.append(f"--ckpt_path={path}")
            jobs += [evaluation_job(folder, arguments, evaluation, command) for evaluation in evaluations]
    if not jobs:
        expected = ", ".join(f"{name}-*.pth" for name in names.values()) or "no networks of torchvision in this study"
        raise BadInput(f"WEIGHTS={weights}: no weight files of this study's networks in that folder ({expected})")
    return jobs


def evaluation_job(folder: Path, arguments: list[str], evaluation: str, command: str) -> Job:
    # Data in memory has one evaluation, and no option for it.
    arguments = [*arguments, f"--data.evaluation={evaluation}"] if evaluation != "center" else arguments
    return Job(folder, arguments, command, result_file(command, evaluation))
