"""`complexity`: measures what is missing of each network, then reports."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import get_context
from typing import Any

import jsonargparse
import torch
from rich.console import Console
from rich.progress import Progress

from resnet_lightning.benchmarks.complexity.accuracy import measure_accuracies, weight_files
from resnet_lightning.benchmarks.complexity.counts import counted
from resnet_lightning.benchmarks.complexity.energy import find_meter
from resnet_lightning.benchmarks.complexity.limits import limits
from resnet_lightning.benchmarks.complexity.measuring import default_device, measure
from resnet_lightning.benchmarks.complexity.networks import Subject, choose
from resnet_lightning.benchmarks.complexity.store import KEPT, ROUNDS, SECONDS, Store, about_this, file_of
from resnet_lightning.errors import BadInput
from resnet_lightning.runs.folder import make_folder

PRELOADED = "resnet_lightning.benchmarks.complexity.measuring"


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning complexity`."""
    from resnet_lightning.benchmarks.complexity.report import other_device, report

    options = parse(arguments)
    subjects, said = choose(options.only, options.add)
    device = default_device()
    store = Store(file_of(about := about_this(device, options.seconds)), about)
    against = other_device(options.against, store.path) if options.against else None
    files = weight_files(subjects, options.weights, options.data) if options.weights else {}
    make_folder(KEPT)
    meter, words = find_meter(device)
    for line in (*said, *([] if meter else [words])):
        print(line, flush=True)
    fill(store, subjects, options.batches)
    measure_accuracies(store, files, options.data)
    report(store, subjects, [*said, words], against)


def parse(arguments: Sequence[str]) -> Any:
    """The options.

    Raises:
        BadInput, ArgumentError: for those that make no sense.
    """
    parser = jsonargparse.ArgumentParser(exit_on_error=False, allow_abbrev=False, prog="resnet-lightning complexity")
    parser.add_argument("--only", nargs="+", default=[], help="networks of the list, such as alexnet resnet50")
    parser.add_argument("--add", nargs="+", default=[], help="your own networks: dotted paths, or experiments' files")
    parser.add_argument("--batches", nargs="+", type=int, default=[], help="batch sizes, all of which are measured")
    parser.add_argument("--against", default="", help="a device's file in results/complexity, to compare with")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="about how long each network is measured")
    parser.add_argument("--weights", default="", help="a folder of torchvision's weight files, to test on --data")
    parser.add_argument("--data", default="", help="ImageNet: a folder with val/<wnid>/*")
    options = parser.parse_args(list(arguments))
    if bool(options.weights) != bool(options.data):
        raise BadInput("--weights and --data belong together: files of weights, and the images to test them on")
    if any(batch < 1 for batch in options.batches):
        raise BadInput(f"--batches {' '.join(map(str, options.batches))}: expected numbers of images, 1 or more")
    if not 0 < options.seconds < 3600:
        raise BadInput(f"--seconds {options.seconds:g}: expected more than 0 and less than 3600")
    options.batches = sorted(set(options.batches))
    return options


def fill(store: Store, subjects: Sequence[Subject], batches: Sequence[int]) -> None:
    """Counts and measures what is not in the store yet; each measurement is written as it is made."""
    threads, seconds = torch.get_num_threads(), store.contents["about"]["seconds"] / ROUNDS
    uncounted = [subject for subject in subjects if subject.own or subject.name not in store.networks]
    print(f"counting {len(uncounted)} networks, then {ROUNDS} rounds of {len(subjects)} measurements", flush=True)
    for subject in uncounted:
        store.count(subject, counted(subject))
    store.write()
    if "limits" not in store.contents:
        store.contents["limits"] = in_process(limits, threads, min(1.0, seconds))
        store.write()
    turns = [(number, subject) for number in range(ROUNDS) for subject in subjects]
    turns = [turn for turn in turns if store.lacks(turn[1].name, turn[0], batches)]
    with told(len(turns)) as tell:
        for number, subject in turns:
            tell(f"round {number + 1} of {ROUNDS}, {subject.name}")
            lacking = store.lacking(subject.name, number, batches)
            if lacking:
                fixed = bool(batches) or number > 0
                store.add(subject.name, number, in_process(measure, subject, lacking, fixed, seconds, threads))


def in_process(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What a function gives in a fresh process, whose memory is that of this work alone.

    Raises:
        BadInput: if the process was killed.
    """
    context = get_context("forkserver")  # a process that has imported PyTorch, and copies itself in no time
    context.set_forkserver_preload([PRELOADED])
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(work, *arguments).result()
    except BrokenProcessPool as error:
        of = f" of {arguments[0].name}" if isinstance(arguments[0], Subject) else ""
        raise BadInput(
            f"the process that measures{of} was killed; too little memory is the usual reason, and smaller --batches "
            "need less. The same command goes on from what has been written"
        ) from error


@contextmanager
def told(turns: int) -> Iterator[Callable[[str], None]]:
    """Tells what is measured and how long all of it still takes: a bar on a terminal, else a line for each."""
    if sys.stderr.isatty():
        with Progress(*Progress.get_default_columns(), console=Console(stderr=True)) as bar:
            task = bar.add_task("", total=turns)
            yield lambda words: bar.update(task, description=words, advance=int(bool(bar.tasks[0].description)))
            bar.update(task, completed=turns)
        return
    done, began = 0, time.monotonic()

    def tell(words: str) -> None:
        nonlocal done
        left = (time.monotonic() - began) / done * (turns - done) if done else 0
        print(words + (f", {timedelta(seconds=round(left))} left" if done else ""), flush=True)
        done += 1

    yield tell
