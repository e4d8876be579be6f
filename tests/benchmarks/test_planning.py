"""`plan` against counts and schedules made the slow way; docs/scaling.md against the command and the formula."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from itertools import chain, product
from pathlib import Path

import pytest
from conftest import REPOSITORY

from resnet_lightning.benchmarks.costs import (
    START,
    Machine,
    Run,
    allreduce_bytes,
    compute,
    rates,
    read_run,
    run_seconds,
    step,
)
from resnet_lightning.benchmarks.plan import DECODED, makespan
from resnet_lightning.cli import main
from resnet_lightning.reporting.table import Table, to_markdown
from resnet_lightning.studies import find_study
from resnet_lightning.studies.execution.jobs import list_jobs

pytestmark = pytest.mark.filterwarnings("ignore:::lightning")  # main() does the same

PAGE = REPOSITORY / "docs" / "scaling.md"
PRECISIONS = ("bf16-mixed", "32-true")
# Milliseconds of CPU time for an image, in both precisions, on one thread of a busy machine: training steps of a bare
# loop on random images in batches of 128 (64 at 64×64), the networks in turn, lower median of six.
STEPS = {
    "ResNet-20": ("cifar10/table6/resnet20", None, (1.856, 2.862)),
    "ResNet-56": ("cifar10/table6/resnet56", None, (5.265, 8.435)),
    "ResNet-110": ("cifar10/table6/resnet110", None, (10.31, 16.643)),
    "plain-20": ("cifar10/figure6/plain20", None, (1.675, 2.715)),
    "ResNet-20, 16×16": ("cifar10/table6/resnet20", "cifar10", (0.538, 0.726)),
    "ResNet-56, 16×16": ("cifar10/table6/resnet56", "cifar10", (1.465, 2.045)),
    "ResNet-18, 64×64": ("imagenet/table2/resnet18", "imagenet", (5.628, 8.916)),
    "ResNet-34, 64×64": ("imagenet/table2/resnet34", "imagenet", (10.0, 17.355)),
}
# Images per second on two cores, in both precisions: README's `make bench`, and bare steps in an earlier trial.
BENCH = {"ResNet-20": (1102, 677), "ResNet-56": (435, 243)}
TRIAL = {"ResNet-20": (1318, 947), "ResNet-56": (556, 359), "ResNet-110": (274, 170)}
ONE_THREAD = 803  # images per second of ResNet-20 in bf16-mixed, in the same trial
# Images per second, mixed precision, published by timm for an RTX 3090, and by NVIDIA for A100s.
RTX3090 = {
    "ResNet-18": ("imagenet/table2/resnet18", "shortcut=B", 3481.78),
    "ResNet-34": ("imagenet/table2/resnet34", "shortcut=B", 2036.51),
    "ResNet-50": ("imagenet/table3/resnet50", "stride_in=3x3", 1218.01),
    "ResNet-101": ("imagenet/table3/resnet101", "stride_in=3x3", 747.89),
    "ResNet-152": ("imagenet/table3/resnet152", "stride_in=3x3", 501.44),
    "VGG-16": ("imagenet/table3/vgg16", "num_classes=1000", 546.06),
}
A100 = {"mixed": (2470, 16621), "TF32": (938, 7248)}  # one, and eight with 256 images each


@cache
def read(experiment: str, small: str | None = None, steps: int | None = None, *more: str) -> Run:
    [job] = list_jobs([experiment], [0], None, steps, [f"experiments/{small}/small.yaml"] if small else [])
    return read_run([*job.arguments, *["--data.root=nowhere"] * experiment.startswith("imagenet/"), *more])


def computer(arithmetic: float, memory: float = float("inf")) -> Machine:
    """Nothing is launched ahead of what computes it; GPUs are linked by 200 GB/s, nodes and processes by 1, a guess."""
    return Machine(0.0, arithmetic, memory, DECODED, 200e9, 1e9)


@pytest.mark.parametrize("gpus", [1, 2, 3, 8])
def test_a_ring_sends_as_many_bytes_as_the_formula_says(gpus: int) -> None:
    chunks = [[10**rank * (chunk + 1) for chunk in range(gpus)] for rank in range(gpus)]
    sums = [sum(column) for column in zip(*chunks, strict=True)]
    sent = [0] * gpus
    for turn in range(2 * (gpus - 1)):  # first sums are made on the way round, then they go round
        messages = [(rank, (rank - turn) % gpus, chunks[rank][(rank - turn) % gpus]) for rank in range(gpus)]
        for rank, chunk, value in messages:
            there = chunks[(rank + 1) % gpus]
            there[chunk] = there[chunk] + value if turn < gpus - 1 else value
            sent[rank] += 4 * 1000  # a chunk of 1,000 float32
    assert all(own == sums for own in chunks)
    assert sent == [allreduce_bytes(4 * 1000 * gpus, gpus)] * gpus


@pytest.mark.parametrize(
    "seconds", [[5], [9, 1, 1, 1], [7, 7, 6, 6, 5, 4], [3, 3, 2, 2, 2], [64, 5, 4, 3, 2, 2, 1], [0.5, 0.25, 8, 8]]
)
@pytest.mark.parametrize("places", [1, 2, 3])
def test_schedule_against_all_schedules(seconds: list[float], places: int) -> None:
    ends = (
        [sum(taken for taken, at in zip(seconds, chosen, strict=True) if at == place) for place in range(places)]
        for chosen in product(range(places), repeat=len(seconds))
    )
    best = min(map(max, ends))
    assert best <= makespan(seconds, places) <= (4 / 3 - 1 / (3 * places)) * best + 1e-9  # Graham's bound
    if seconds != [3, 3, 2, 2, 2] or places != 2:  # where the longest first is known not to be the best
        assert makespan(seconds, places) == best


def test_formula_by_hand() -> None:
    run = Run("hand", 10, 100_000_000, 1e9, 1e6, 256, 1000, 2, 3, 5000, 100, 8, files=True)
    machine = Machine(0.001, 1e14, 2e11, 5000, 1e11, 1e10)
    one, eight, many = (step(run, machine, gpus) for gpus in (1, 8, 64))
    assert (one.launches, one.compute, one.reading, one.allreduce) == pytest.approx((0.01, 0.01664, 0.0512, 0))
    # 400 MB: 7 ms of which 6.67 ms lie in the backward pass; the last 25 MiB, 0.46 ms, never do.
    assert eight.total == pytest.approx(0.01 + 50e-6 + 1.75 * 25 * 2**20 / 1e11)
    assert many.total == pytest.approx(0.01 + 50e-6 + 2 * 63 / 64 * 4e8 / 1e10 - 2 / 3 * 0.01)
    # Reading takes longer than looking once (0.1 ms an image), ten crops take longer than reading.
    looks = 2 * 5000 / 5000 + 5000 * 10 * 0.01 / 100 / 3
    assert run_seconds(run, machine, 1, "ten_crop") == pytest.approx(10 + 51.2 + looks + 3 * 0.8)


def test_runs_are_as_their_experiments_say(workplace: Path) -> None:
    cifar, imagenet = read("cifar10/table6/resnet110"), read("imagenet/table3/resnet34b")
    assert cifar == Run(
        "ResNet-110", 110, 1_727_962, 252_887_680, cifar.activations, 128, 64_000, 65, 128, 10_000, 500, 2, False
    )
    assert (imagenet.layers, imagenet.iterations, imagenet.evaluations) == (37, 600_000, 121)
    short = read("cifar10/table6/resnet110", "cifar10", 6000)
    scores = 64 * 10  # of the last layer, whatever the size of the images
    assert short.macs - scores == (cifar.macs - scores) / 4
    assert (short.iterations, short.evaluations) == (6000, 21)


def test_page_holds_what_the_command_prints(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan"])
    assert capsys.readouterr().out in PAGE.read_text()


def test_speeds_come_back_as_steps(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", "--resnet20=12800", "--resnet34=2560", "--resnet50", "1280", "--seeds=3", "--price=0.5"])
    printed = capsys.readouterr().out
    cells = {line.split(" | ")[0]: line.split(" | ") for line in reversed(printed.splitlines())}
    assert cells["| ResNet-20"][3] == "10.0"
    assert (cells["| ResNet-34"][4], cells["| ResNet-50"][4]) == ("100.0", "200.0")
    assert cells["| table6"][1] == "18"
    assert "| --price | 0.5 | $ per GPU-hour | given |" in printed
    assert "| --cores | 8 | for each GPU | assumed |" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--price=0"], "--price 0.0: expected a number above 0"),
        (["--seeds=-1"], "--seeds -1: expected a number above 0"),
        (["--within=inf"], "within"),
        (["--resnet34=3000", "--resnet50=3000"], "--resnet50 3000: beside --resnet34 3000 expected"),
        (["--prize=2"], "--prize"),
        (["table6"], "table6"),
    ],
)
def test_bad_options(workplace: Path, refused: Callable[..., str], arguments: list[str], said: str) -> None:
    assert said in refused("plan", *arguments)


class Check:
    """A table of the page: what was measured beside what two machines, one of arithmetic alone, are predicted to do.

    Args:
        title: of the table.
        unit: heading of its second column.
    """

    def __init__(self, title: str, unit: str) -> None:
        self.title, self.unit = title, unit
        self.rows: list[tuple[str, ...]] = []

    def add(self, what: str, unit: str, measured: float, predicted: Iterable[float], form: str = ",.0f") -> None:
        errors = [(f"{value:{form}}", f"{round(100 * (value / measured - 1)):+d} %") for value in predicted]
        self.rows.append((what, unit, f"{measured:{form}}", *chain(*errors)))

    def __str__(self) -> str:
        columns = ("Network", self.unit, "Seen", "By arithmetic", "Error", "By arithmetic and memory", "Error")
        return to_markdown(Table(self.title, columns, tuple(self.rows), ()))


def cores() -> tuple[dict[str, Run], list[list[Machine]]]:
    """The runs of STEPS, and for each precision the core that is calibrated on ResNet-20, and on ResNet-18 too."""
    runs = {name: read(experiment, small) for name, (experiment, small, _) in STEPS.items()}
    twenty, eighteen = runs["ResNet-20"], runs["ResNet-18, 64×64"]
    machines = []
    for pair in zip(STEPS["ResNet-20"][2], STEPS["ResNet-18, 64×64"][2], strict=True):
        speeds = (1000 / pair[0], 1000 / pair[1])
        machines.append([computer(6 * twenty.macs * speeds[0]), computer(*rates(twenty, eighteen, speeds))])
    return runs, machines


def as_fast(machines: list[Machine], run: Run, speed: float) -> list[Machine]:
    """The machines, made faster or slower until they train a run at so many images per second."""
    times = [speed * compute(run, machine, 1) for machine in machines]
    return [computer(m.arithmetic * t, m.memory * t) for m, t in zip(machines, times, strict=True)]


def check_steps(runs: dict[str, Run], machines: list[list[Machine]]) -> Check:
    check = Check("CPU time of a training step for one image, in milliseconds, on one thread", "Precision")
    for (number, precision), name in product(enumerate(PRECISIONS), STEPS):
        predicted = [1000 * compute(runs[name], machine, 1) for machine in machines[number]]
        check.add(name, precision, STEPS[name][2][number], predicted, ".2f")
    return check


def check_two_cores(runs: dict[str, Run], machines: list[list[Machine]]) -> Check:
    check = Check("Training images per second on two cores, from those of ResNet-20", "Precision")
    for where, speeds in (("make bench", BENCH), ("bare steps", TRIAL)):
        for (number, precision), name in product(enumerate(PRECISIONS), list(speeds)[1:]):
            two = as_fast(machines[number], runs["ResNet-20"], speeds["ResNet-20"][number])
            predicted = [1 / compute(runs[name], machine, 1) for machine in two]
            check.add(f"{name}, {where}", precision, speeds[name][number], predicted)
    return check


def check_runs(runs: dict[str, Run], machines: list[list[Machine]]) -> Check:
    check = Check("Whole runs and parts of them, in bf16-mixed", "Unit")
    twenty = runs["ResNet-20"]
    core = as_fast(machines[0], twenty, ONE_THREAD)

    def seconds(own: list[Run], machine: Machine, evaluation: str | None = None) -> list[float]:
        return [run_seconds(run, machine, 1, evaluation) for run in own]

    begun = replace(twenty, iterations=6000, evaluations=5, checkpoints=12)
    predicted = [seconds([begun], m)[0] - START for m in as_fast(machines[0], twenty, 533)]
    check.add("6,000 iterations of ResNet-20", "s", 1497, predicted)
    degradation = [read(experiment, "cifar10", 6000) for experiment in find_study("degradation").experiments]
    check.add("degradation, 16×16", "min, CPU", 43, [sum(seconds(degradation, m)) / 60 for m in core])
    demo = [read(experiment) for experiment in find_study("demo").experiments]
    check.add("demo", "s", 108, [makespan(seconds(demo, m), 2) for m in core])
    table2 = [
        replace(read(experiment, "imagenet", 300), images=3925) for experiment in find_study("table2").experiments
    ]
    check.add("table 2, 64×64", "min", 16, [makespan(seconds(table2, m, "ten_crop"), 2) / 60 for m in core])
    for run, measured in ((table2[3], 62), (table2[1], 90)):
        predicted = [sum(seconds([run], m, "ten_crop")) - sum(seconds([run], m)) for m in core]
        check.add(f"ten crops of {run.network}, 64×64", "s", measured, predicted)
    check.add("evaluating ResNet-20", "ms, CPU", 0.498, [1000 * compute(twenty, m, 1) / 3 for m in machines[0]], ".2f")
    shared = [step(twenty, replace(m, within=m.between), 2).total / compute(twenty, m, 64) for m in core]
    check.add("two processes for one run", "% more time", 6, [100 * (times - 1) for times in shared], ".1f")
    return check


def check_published() -> Check:
    check = Check("Training images per second, published by others", "GPUs")
    runs = {name: read(path, None, None, f"--model.network.{option}") for name, (path, option, _) in RTX3090.items()}
    speeds = {name: speed for name, (*_, speed) in RTX3090.items()}
    pair = [runs["ResNet-34"], runs["ResNet-50"]]
    two = computer(*rates(*pair, (speeds["ResNet-34"], speeds["ResNet-50"])))
    for name, run in runs.items():
        predicted = [1 / compute(run, m, 1) for m in (computer(6 * pair[1].macs * speeds["ResNet-50"]), two)]
        check.add(name, "1 × RTX 3090", speeds[name], predicted)
    whole = replace(pair[1], batch=8 * 256, files=False)
    for precision, (one, eight) in A100.items():
        [machine] = as_fast([two], whole, one)
        check.add(f"ResNet-50, {precision}", "8 × A100", eight, 2 * [whole.batch / step(whole, machine, 8).total])
    return check


def test_page_says_how_far_the_formula_is_from_what_was_seen(workplace: Path) -> None:
    for check in (*(make(*cores()) for make in (check_steps, check_two_cores, check_runs)), check_published()):
        assert str(check) in PAGE.read_text()
