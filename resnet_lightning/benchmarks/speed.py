"""`bench`: training images per second beside the loop that is usually written, every loop in turn, several times."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import jsonargparse
import lightning
import torch
import torchvision

from resnet_lightning import __version__
from resnet_lightning.data.cifar10 import CIFAR10, DEFAULT_ROOT
from resnet_lightning.errors import BadInput
from resnet_lightning.files import write_text
from resnet_lightning.reporting.table import Table, print_tables, to_markdown
from resnet_lightning.runs.experiments import EXPERIMENTS, find_file
from resnet_lightning.runs.folder import make_folder, write_json
from resnet_lightning.training.devices import fastest_safe_precision

REPORTS = Path("reports")
WORKERS = ("0", "2", "4")  # of the plain loop: which number is best depends on the machine
TABLE6 = Path(EXPERIMENTS, "cifar10", "table6")
WORDS = {
    "plain": "plain loop, 32-true, {how} workers",
    "bare": "bare loop, {how}",
    "trainer": "this Trainer, {how}",
}


class Loop(NamedTuple):
    """What one process measures: its kind, and the number of workers of a plain loop or the precision of another."""

    kind: str
    how: str
    network: str

    def __str__(self) -> str:
        return WORDS[self.kind].format(how=self.how)


Rounds = dict[Loop, list[dict[str, Any]]]


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning bench`."""
    jsonargparse.auto_cli(
        bench, args=list(arguments), prog="resnet-lightning bench", exit_on_error=False, allow_abbrev=False
    )


def bench(
    data: str = DEFAULT_ROOT,
    rounds: int = 5,
    seconds: float = 5.0,
    networks: Sequence[str] = ("resnet20", "resnet56"),
) -> None:
    """Measures, prints, and writes reports/bench.md and reports/bench.json.

    Every measurement is a process of its own, and the loops take turns, so that noise hits all of them alike.

    Args:
        data: the folder of CIFAR-10.
        rounds: how often each loop is measured.
        seconds: of each measurement, after a warm-up of a quarter of that.
        networks: experiments of Table 6.

    Raises:
        BadInput: if the data is missing, or a number or a network makes no sense.
    """
    if rounds < 1 or not seconds > 0:
        raise BadInput(f"{rounds} rounds of {seconds} seconds: expected at least 1 round and more than 0 seconds")
    for name in networks:
        if not find_file(TABLE6 / f"{name}.yaml").is_file():
            raise BadInput(f"{TABLE6 / name}.yaml does not exist (the working folder is {Path.cwd()})")
    CIFAR10(data).prepare_data()
    make_folder(REPORTS)
    precisions = list(dict.fromkeys([fastest_safe_precision("auto"), "32-true"]))
    measured: Rounds = {loop: [] for loop in list_loops(networks, precisions)}
    print(
        f"{rounds} rounds of {len(measured)} measurements of {seconds:g} seconds, and the time to start each",
        flush=True,
    )
    for number in range(1, rounds + 1):
        for place, (loop, results) in enumerate(measured.items(), 1):
            results.append(measure(loop, data, seconds))
            speed = f"{results[-1]['images_per_second']:,.0f} images/s"
            print(
                f"round {number} of {rounds}, {place} of {len(measured)}: {loop.network}, {loop}: {speed}", flush=True
            )
    tables = [speeds(measured, networks), comparisons(measured, networks, precisions)]
    print_tables(tables)
    loops = [loop._asdict() | {"rounds": results} for loop, results in measured.items()]
    write_json(REPORTS / "bench.json", {"versions": versions(), "seconds": seconds, "loops": loops})
    write_text(REPORTS / "bench.md", "\n".join(to_markdown(table) for table in tables))
    print(f"written: {REPORTS / 'bench.md'}, {REPORTS / 'bench.json'}")


def list_loops(networks: Sequence[str], precisions: Sequence[str]) -> list[Loop]:
    """Everything that is measured in one round, in this order."""
    ways = [("plain", workers) for workers in WORKERS]
    ways += [(kind, precision) for precision in precisions for kind in ("bare", "trainer")]
    return [Loop(kind, how, network) for network in networks for kind, how in ways]


def measure(loop: Loop, data: str, seconds: float) -> dict[str, Any]:
    """What loops.py reports of one loop, from a process of its own."""
    command = [sys.executable, "-m", "resnet_lightning.benchmarks.loops", *loop, data, str(seconds)]
    # A tracker would be another process beside the measured one.
    child = subprocess.run(command, env={**os.environ, "WANDB_MODE": "disabled"}, capture_output=True, encoding="utf-8")
    if child.returncode:
        raise RuntimeError(f"{loop.network}, {loop} ended with status {child.returncode}:\n{child.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return result


def versions() -> dict[str, str]:
    modules = {"torch": torch, "torchvision": torchvision, "lightning": lightning}
    return {"resnet_lightning": __version__, "python": platform.python_version()} | {
        name: module.__version__ for name, module in modules.items()
    }


def speeds(measured: Rounds, networks: Sequence[str]) -> Table:
    """Images per second of every loop and network."""
    rows = []
    for loop in measured:
        if loop.network == networks[0]:
            cells = [spread(rates(measured, loop.kind, loop.how, network), ",.0f") for network in networks]
            rows.append((str(loop), *cells))
    device = next(iter(measured.values()))[0]["device"]
    notes = (
        f"{device}; PyTorch {torch.__version__}. Median (lowest–highest) of the rounds.",
        "Plain loop: PIL transforms, DataLoader, NCHW, a look at the loss every iteration. Bare loop: this package's "
        "batches and network, channels last, fused SGD, nothing recorded.",
    )
    return Table("Training images per second, batch 128", ("Measured", *networks), tuple(rows), notes)


def comparisons(measured: Rounds, networks: Sequence[str], precisions: Sequence[str]) -> Table:
    """The Trainer beside the other loops of the same round."""
    plain = [[rates(measured, "plain", workers, network) for workers in WORKERS] for network in networks]
    best = [[max(speeds) for speeds in zip(*loops, strict=True)] for loops in plain]
    rows = []
    for precision in precisions:
        ours = [rates(measured, "trainer", precision, network) for network in networks]
        bare = [rates(measured, "bare", precision, network) for network in networks]
        faster = [[a / b for a, b in zip(*pair, strict=True)] for pair in zip(ours, best, strict=True)]
        costs = [[100 * (b / a - 1) for a, b in zip(*pair, strict=True)] for pair in zip(ours, bare, strict=True)]
        rows.append((f"speed beside the best plain loop, {precision}", *(spread(f, ".2f", "×") for f in faster)))
        rows.append((f"time more than the bare loop, {precision}", *(spread(c, ".1f", " %") for c in costs)))
    return Table("This Trainer, compared within each round", ("Measured", *networks), tuple(rows), ())


def rates(measured: Rounds, kind: str, how: str, network: str) -> list[float]:
    return [result["images_per_second"] for result in measured[Loop(kind, how, network)]]


def spread(values: Sequence[float], form: str, unit: str = "") -> str:
    """Median (lowest–highest)."""
    return f"{median(values):{form}}{unit} ({min(values):{form}}–{max(values):{form}})"
