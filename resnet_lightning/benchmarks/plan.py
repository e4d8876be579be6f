"""`plan`: how long every study takes at full length, by the speed of the runs that there are. Nothing is guessed."""

from collections.abc import Sequence
from statistics import median
from typing import Any

import jsonargparse
from rich.console import Console

from resnet_lightning.errors import BadInput
from resnet_lightning.reporting.table import Table, show_tables, to_markdown
from resnet_lightning.runs.experiments import experiment_files, merged
from resnet_lightning.runs.folder import RESULTS, RUNS
from resnet_lightning.runs.reading import Run, load_runs, read_json_or_nothing
from resnet_lightning.studies import STUDIES, find_study

Speeds = dict[tuple[str, str], list[float]]  # iterations per second of runs, by experiment, and device and precision


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning plan`: prints the tables; into a file or a pipe they go as Markdown."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False, allow_abbrev=False, prog="resnet-lightning plan")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each network")
    seeds = parser.parse_args(list(arguments)).seeds
    if seeds < 1:
        raise BadInput(f"--seeds {seeds}: expected a number of runs of each network, at least 1")
    console, tables = Console(), plan_tables(seeds)
    if console.is_terminal:
        show_tables(tables, console)
    else:
        print("\n".join(map(to_markdown, tables)), end="")


def plan_tables(seeds: int) -> list[Table]:
    """The speeds that were measured, and what the studies take at these."""
    studies = {name: study for name in STUDIES if (study := find_study(name)).experiments}
    speeds = measure(load_runs(sorted({e for study in studies.values() for e in study.experiments}), RUNS, RESULTS))
    if not speeds:
        raise BadInput("no finished run has the experiments' image size and batch yet, so that no time is known")
    rows = [
        study_row(name, study.experiments, place, speeds, seeds)
        for place in sorted({place for _, place in speeds})
        for name, study in studies.items()
        if any((experiment, place) in speeds for experiment in study.experiments)
    ]
    notes = (
        "One run after the other, at full length, training alone: evaluations and checkpoints come on top. “>”: some "
        "networks of the study were not measured there; they come on top too.",
    )
    columns = ("Study", "Where", "Runs", "Networks measured", "Time")
    return [speed_table(speeds), Table("Studies, one run after the other", columns, tuple(rows), notes)]


def measure(runs: Sequence[Run]) -> Speeds:
    """The speeds of finished runs whose iterations cost what the experiment's own do, of whatever length."""
    found: Speeds = {}
    for run in runs:
        result = read_json_or_nothing(run.folder / "result.json")
        alike = all(change.startswith(("max_steps=", "lr=")) for change in run.changes)
        if run.state == "finished" and alike and not run.weights and result.get("seconds"):
            device = str(result.get("device")).replace("1 threads", "1 thread")  # older runs say "1 threads"
            place = f"{device}, {result.get('precision')}"
            found.setdefault((run.experiment, place), []).append(run.iteration / result["seconds"])
    return found


def speed_table(speeds: Speeds) -> Table:
    """Iterations per second, and what follows for the experiment's own length."""
    rows = []
    for (experiment, place), own in speeds.items():
        speed = median(own)
        rows.append((experiment, place, str(len(own)), f"{speed:.2f}", duration(iterations(experiment) / speed)))
    columns = ("Experiment", "Where", "Runs", "Iterations per second", "Time of the full length")
    notes = ("Median of the finished runs, shortened ones too. Of other networks, `summary` tells the multiply-adds.",)
    return Table("Measured speeds", columns, tuple(rows), notes)


def study_row(name: str, experiments: Sequence[str], place: str, speeds: Speeds, seeds: int) -> tuple[str, ...]:
    known = {experiment: speeds[experiment, place] for experiment in experiments if (experiment, place) in speeds}
    seconds = sum(iterations(experiment) / median(own) * seeds for experiment, own in known.items())
    least = "> " * (len(known) < len(experiments))
    counted = f"{len(known)} of {len(experiments)}"
    return name, place, str(len(experiments) * seeds), counted, f"{least}{duration(seconds)}"


def iterations(experiment: str) -> int:
    """The experiment's own length; ImageNet's, which follows the data, is that of the whole of it."""
    trainer: dict[str, Any] = merged(experiment_files(experiment))["trainer"]
    return int(trainer["max_steps"]) if trainer["max_steps"] > 0 else 600_000


def duration(seconds: float) -> str:
    """In a unit that leaves at most two digits before the point.

    >>> duration(10_838)
    '3.0 h'
    """
    for unit, size in (("s", 1), ("min", 60), ("h", 3600)):
        if seconds < 100 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 86400:.1f} days"
