"""Where to activate, and what the shortcut may do: tables 1 and 2 of "Identity Mappings" (He et al., 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from resnet_lightning.reporting.cells import NOTHING, training_and_test
from resnet_lightning.reporting.figures import CURVES, Panel, error_figure
from resnet_lightning.reporting.settings import by_network
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.experiments import RESNETS
from resnet_lightning.studies.family import Group, grouped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES = {"table1": "Shortcuts of ResNet-110", "table2": "Where to activate"}
ARRANGEMENTS = ("bn_after_addition", "relu_before_addition", "relu_only")
SHORTCUTS = (
    *("scaled110", "both_scaled110", "exclusive_gate0_110", "exclusive_gate6_110", "exclusive_gate7_110"),
    *("shortcut_gate0_110", "shortcut_gate6_110", "convolution110", "dropout110"),
)


def tables(runs: Sequence[Run]) -> list[Table]:
    """The second paper's tables for each group of runs; networks that are in neither, in a third."""
    return [table for group in grouped(runs) for table in of_group(group)]


def of_group(group: Group) -> list[Table]:
    published, own = paper()["preactivation"], by_network(group.runs)
    others = {name: None for name in own if name not in published["table1"] | published["table2"]}
    made = []
    for title, errors in (*((TITLES[key], published[key]) for key in TITLES), ("Other networks", others)):
        names = [name for name in errors if group.published or name in own]
        rows = [(name, says(errors[name]), *training_and_test(own.get(name, [])).values()) for name in names]
        if rows:
            columns = ("Network", "Published error %", *training_and_test([]))
            made.append(Table(f"{title}. {group.title}" if group.title else title, columns, tuple(rows), notes(group)))
    return made


def says(error: float | str | None) -> str:
    """A published error (percent); fail stands for more than 20 %."""
    return NOTHING if error is None else error if isinstance(error, str) else f"{error:.2f}"


def notes(group: Group) -> tuple[str, ...]:
    said = [
        "Published: tables 1 and 2 there, medians of five runs; “fail” is a test error above 20 %. ResNet-110 and "
        "original-164 are the original unit.",
        "Errors are those of the last iteration, not the best ones. ± is the sample standard deviation of the seeds.",
    ]
    if group.runs and not group.published:
        said.append("These are not the paper's runs: its numbers are shown for orientation only.")
    return tuple(said)


def draw(runs: Sequence[Run]) -> Figure:
    """Training and test error (percent), a panel for each depth."""
    depths = sorted({run.depth for run in runs})
    return error_figure(runs, [Panel(f"{depth} layers", [r for r in runs if r.depth == depth]) for depth in depths])


STUDY = Study(
    title="Where to activate, and what the shortcut may do: Identity Mappings, tables 1 and 2",
    section="4.2",
    experiments=(
        *("cifar10/family/original1001", "cifar10/family/preactivation1001"),
        *("cifar10/family/original164", "cifar10/family/preactivation164"),
        *(f"cifar10/preactivation/{name}164" for name in ARRANGEMENTS),
        *(f"cifar10/preactivation/{name}110_bottleneck" for name in ("original", "preactivation")),
        *("cifar10/family/preactivation110", RESNETS[110]),
        *(f"cifar10/preactivation/{name}110" for name in ARRANGEMENTS),
        *(f"cifar10/preactivation/{name}" for name in SHORTCUTS),
    ),
    evaluations=(),
    command="",
    tables=tables,
    figures={"": Drawing(draw, CURVES)},
)
