"""The report of `complexity`: tables, figures and a page, into the reports folder."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_lightning.benchmarks.complexity import comparison, tables
from resnet_lightning.benchmarks.complexity.figures import accuracy_against, accuracy_by_network, by_batch, density
from resnet_lightning.benchmarks.complexity.networks import Subject
from resnet_lightning.benchmarks.complexity.results import Result, common_batch, results_of
from resnet_lightning.benchmarks.complexity.store import Store, load
from resnet_lightning.errors import BadInput
from resnet_lightning.reporting.figures import save
from resnet_lightning.reporting.page import Picture, write_page
from resnet_lightning.reporting.table import Table, print_tables, write_tables
from resnet_lightning.runs.folder import make_folder
from resnet_lightning.studies.report import REPORTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME, TITLE = "complexity", "What a network costs"
SECTION = "3.3"  # of the paper, where it counts


def report(store: Store, subjects: Sequence[Subject], said: Sequence[str], against: dict[str, Any] | None) -> None:
    """Prints the tables and writes reports/complexity.md, .csv, .html and the figures.

    Args:
        said: what is left out, and why.
        against: the contents of another device's file.
    """
    make_folder(REPORTS)
    results = results_of(store.networks, subjects)
    found = list_tables(store, results, said)
    if against:
        others = results_of(against["networks"], subjects)
        here, there = store.contents["about"]["device"], against["about"]["device"]
        found.append(comparison.device_table(results, others, here, there))
    print_tables(found)
    written = write_tables(found, REPORTS, NAME)
    pictures = []
    for (ending, words, setting), draw in list_figures(results).items():
        if drawn := draw():
            png, svg = save(drawn, REPORTS, NAME + ending)
            pictures.append(Picture(svg, words, setting))
            written += [png, svg]
    written.append(write_page(TITLE, SECTION, found, pictures, [], REPORTS, NAME))
    print(f"measured: {store.path}\nwritten: " + ", ".join(map(str, written)))


def list_tables(store: Store, results: Sequence[Result], said: Sequence[str]) -> list[Table]:
    contents = store.contents
    return [
        tables.counted_table(results, said[:-1]),
        tables.times_table(results, contents["about"]["device"]),
        comparison.order_table(results, contents["limits"]),
        tables.limits_table(results, contents["limits"]),
        tables.training_table(results, said[-1]),
        tables.convolutions_table(contents["limits"]),
    ]


def list_figures(results: Sequence[Result]) -> dict[tuple[str, str, str], Callable[[], "Figure | None"]]:
    """By the end of the file's name, what is shown, and the table beside which it stands."""
    batch = common_batch(results)
    operations = partial(accuracy_against, results, lambda result: result.counts["macs"] / 1e9)
    parameters = partial(accuracy_against, results, lambda result: result.counts["parameters"] / 1e6)
    times = partial(accuracy_against, results, lambda result: 1e3 * result.forward(batch).median)
    found: dict[tuple[str, str, str], Callable[[], Figure | None]] = {
        ("-accuracy", "Top-1 accuracy by network", tables.COUNTED): partial(accuracy_by_network, results),
        ("-operations", "Accuracy against operations; area: parameters", tables.COUNTED): partial(
            operations, "multiply-adds of an image (1e9)", areas=True
        ),
        ("-parameters", "Accuracy against parameters", tables.COUNTED): partial(parameters, "parameters (1e6)"),
        ("-density", "Accuracy per operation and per parameter", tables.COUNTED): partial(density, results),
        ("-times", "Forward time by batch size", tables.MEASURED): partial(
            by_batch, results, lambda result, batch: 1e3 * result.forward(batch).median, "forward time of an image (ms)"
        ),
        ("-speed", "Accuracy against forward time", tables.MEASURED): partial(
            times, f"forward time of an image (ms), batch {batch}"
        ),
    }
    if all(result.watts(size) is not None for result in results for size in result.batches):
        found["-power", "Power by batch size", tables.MEASURED] = partial(
            by_batch, results, lambda result, batch: result.watts(batch) or 0, "power (W)"
        )
    return found


def other_device(given: str, own: Path) -> dict[str, Any]:
    """The contents of another device's file.

    Raises:
        BadInput: if it is not there, damaged, or the file that this command measures into.
    """
    path = Path(given)
    if path.resolve() == own.resolve():
        raise BadInput(f"--against {given} is this device's own file: expected that of another")
    return load(path)
