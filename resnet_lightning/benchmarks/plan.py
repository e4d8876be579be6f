"""`plan`: time and cost of every study on 1, 8 and 64 GPUs, before there is one. docs/scaling.md explains it."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache

import jsonargparse
from rich.console import Console

from resnet_lightning.benchmarks.costs import Machine, Run, rates, read_run, run_seconds, step
from resnet_lightning.errors import BadInput
from resnet_lightning.reporting.cells import NOTHING
from resnet_lightning.reporting.table import Table, show_tables, to_markdown
from resnet_lightning.studies import STUDIES, Study, find_study
from resnet_lightning.studies.execution.jobs import list_jobs

GPUS = (1, 8, 64)
TIMED = ("cifar10/table6/resnet20", "imagenet/table2/resnet34", "imagenet/table3/resnet50")
SHOWN = (TIMED[0], "cifar10/table6/resnet1202", *TIMED[1:], "imagenet/table3/vgg16")
DECODED = 1_495  # images of 500×375 per second and core: measured on a CPU, by `make benchinput`
UNITS = dict.fromkeys(("resnet20", "resnet34", "resnet50"), "images/s") | {
    "cores": "for each GPU",
    "within": "GB/s",
    "between": "GB/s",
    "price": "$ per GPU-hour",
    "seeds": "for each network",
}


@dataclass(frozen=True)
class Inputs:
    """Time and cost of every study on 1, 8 and 64 GPUs, by a formula (docs/scaling.md). The defaults are assumptions.

    Args:
        resnet20: images per second that one GPU trains, ResNet-20 of table 6 (`make bench` measures it)
        resnet34: the same of ResNet-34 of table 2
        resnet50: the same of ResNet-50 of table 3
        cores: CPU cores for each GPU
        within: GB/s of an all-reduce between the GPUs of a node
        between: GB/s of an all-reduce between nodes
        price: dollars for an hour of a GPU
        seeds: runs of each network
    """

    resnet20: float = 21_000
    resnet34: float = 4_000
    resnet50: float = 2_500
    cores: float = 8
    within: float = 200
    between: float = 25
    price: float = 2.5
    seeds: int = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise BadInput(f"--{name} {value}: expected a number above 0")


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning plan`."""
    plan(jsonargparse.auto_cli(Inputs, args=list(arguments), exit_on_error=False, allow_abbrev=False))


def plan(inputs: Inputs) -> None:
    """`resnet-lightning plan`: prints the tables; in a file or a pipe they are Markdown."""
    console, tables = Console(), plan_tables(inputs)
    if console.is_terminal:
        show_tables(tables, console)
    else:
        print("\n".join(map(to_markdown, tables)), end="")


def plan_tables(inputs: Inputs) -> list[Table]:
    """What goes in, every study, and one step of some networks."""
    machine = choose_machine(inputs, *map(read_experiment, TIMED))  # first, so that bad speeds are refused at once
    studies = {name: study for name in STUDIES if (study := find_study(name)).experiments}
    runs = {name: read_experiment(name) for study in studies.values() for name in study.experiments}
    return [
        input_table(inputs, machine),
        *(study_table(studies, runs, inputs, machine, gpus) for gpus in GPUS),
        step_table([runs[name] for name in SHOWN], machine),
    ]


@cache
def read_experiment(name: str) -> Run:
    """The run of an experiment of a study; ImageNet is whole, whatever subset may lie in its default folder."""
    [job] = list_jobs([name], [0], None, None, ())
    return read_run([*job.arguments, *["--data.root=nowhere"] * name.startswith("imagenet/")])


def choose_machine(inputs: Inputs, resnet20: Run, resnet34: Run, resnet50: Run) -> Machine:
    """The machine that trains three networks at the given speeds; ResNet-20 shows what launching a layer takes.

    Raises:
        BadInput: if there is none.
    """
    arithmetic, memory = rates(resnet34, resnet50, (inputs.resnet34, inputs.resnet50))
    if min(arithmetic, memory) <= 0:
        low = inputs.resnet34 * resnet34.activations / resnet50.activations
        high = inputs.resnet34 * resnet34.macs / resnet50.macs
        raise BadInput(
            f"--resnet50 {inputs.resnet50:g}: beside --resnet34 {inputs.resnet34:g} expected {low:,.0f} to {high:,.0f} "
            "(equal speeds are those of reading the images)"
        )
    layer = resnet20.batch / inputs.resnet20 / resnet20.layers
    return Machine(layer, arithmetic, memory, DECODED * inputs.cores, inputs.within * 1e9, inputs.between * 1e9)


def makespan(seconds: Iterable[float], places: int) -> float:
    """When the last run ends, if the longest that waits starts whenever a place is free."""
    ends = [0.0] * places
    for taken in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + taken)
    return max(ends)


def best_way(runs: Sequence[Run], machine: Machine, gpus: int, evaluation: str | None) -> tuple[float, float, int]:
    """Seconds, seconds of all used GPUs together, and GPUs of each run; the product of the first two is the least.

    So twice as many GPUs for a run are worth it if they do 1.41 times as much or more.
    """
    ways = []
    most = min(gpus, *(run.most_gpus for run in runs))
    for each in (1, 2, 4, 8):
        if each <= most:
            seconds = [run_seconds(run, machine, each, evaluation) for run in runs]
            ways.append((makespan(seconds, gpus // each), each * sum(seconds), each))
    return min(ways, key=lambda way: way[0] * way[1])


def input_table(inputs: Inputs, machine: Machine) -> Table:
    """Every input, where it is from, and what the speeds say of the GPU."""
    rows = []
    for field in fields(inputs):
        value = getattr(inputs, field.name)
        origin = "assumed" if value == field.default else "given"
        rows.append((f"--{field.name}", f"{value:,.10g}", UNITS[field.name], origin))
    rows.append(("image files decoded", f"{DECODED:,}", "images/s and core", "measured on a CPU"))
    notes = (
        "assumed: a guess; docs/scaling.md says how to measure it. No number in these tables was measured on a GPU.",
        f"The three speeds say: {1000 * machine.layer:.2f} ms for a layer at least, {machine.arithmetic / 1e12:,.0f} "
        f"TFLOP/s in convolutions, {machine.memory / 1e9:,.0f} GB/s of activations (as float32) in all the rest.",
    )
    return Table("Inputs", ("Input", "Value", "Unit", "Origin"), tuple(rows), notes)


def study_table(
    studies: Mapping[str, Study], runs: Mapping[str, Run], inputs: Inputs, machine: Machine, gpus: int
) -> Table:
    """Every study, as if none of its runs had been made."""
    rows = []
    for name, study in studies.items():
        own = [runs[experiment] for experiment in study.experiments for _ in range(inputs.seeds)]
        seconds, together, each = best_way(own, machine, gpus, study.evaluation)
        way = f"{min(len(own), gpus // each)} × {each}"
        hours = together / 3600
        rows.append((name, str(len(own)), way, duration(seconds), number(hours), number(hours * inputs.price)))
    notes = ["Way: runs at the same time × GPUs of each. GPU-hours and dollars: of the GPUs while they are used."]
    if gpus == 1:
        once = number(sum(run_seconds(run, machine, 1) for run in runs.values()) / 3600 * inputs.seeds)
        notes.append(f"Studies share runs: all {len(runs) * inputs.seeds} of them, each once, take {once} GPU-hours.")
    columns = ("Study", "Runs", "Way", "Time", "GPU-hours", "Dollars")
    return Table(f"Predicted: every study on {gpus} GPU{'s' * (gpus > 1)}", columns, tuple(rows), tuple(notes))


def step_table(runs: Sequence[Run], machine: Machine) -> Table:
    """One training step, its batch shared by several GPUs."""
    rows = []
    for run in runs:
        alone = step(run, machine, 1).total
        for gpus in GPUS:
            one = step(run, machine, gpus)
            parts = [one.launches, one.compute, one.reading, one.allreduce, one.total]
            cells = [f"{1000 * part:.1f}" if part else NOTHING for part in parts]
            rows.append(
                (run.network, str(gpus), f"{run.batch / gpus:g}", *cells, f"{100 * alone / one.total / gpus:.0f} %")
            )
    columns = ("Network", "GPUs", "Images on each", "Launches", "Compute", "Input", "All-reduce", "Step", "Efficiency")
    notes = (
        "A step takes the longest of launches, compute and input, and then what is left of the all-reduce after the "
        "backward pass. Efficiency: of one GPU's images per second, what each GPU does.",
    )
    return Table("Predicted: milliseconds of a training step of one run", columns, tuple(rows), notes)


def duration(seconds: float) -> str:
    """In a unit that leaves at most two digits before the point."""
    for unit, size in (("s", 1), ("min", 60), ("h", 3600)):
        if seconds < 100 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 86400:.1f} days"


def number(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"
