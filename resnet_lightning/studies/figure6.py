"""Figure 6: training of plain and residual networks on CIFAR-10 (section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from resnet_lightning.reporting.cells import about, length, training_and_test
from resnet_lightning.reporting.figures import CURVES, Panel, by_family, error_figure
from resnet_lightning.reporting.setting_tables import Networks, Rows, names_of, table_per_setting
from resnet_lightning.reporting.settings import Setting, whole
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.experiments import PLAIN, RESNETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEEP = 110  # layers; deeper ResNets have a panel of their own


def tables(runs: Sequence[Run]) -> list[Table]:
    """The errors (percent) at which the curves end, in the paper and here: one table per setting."""
    return table_per_setting("Figure 6", runs, _rows, whole("CIFAR-10"))


def _rows(setting: Setting, networks: Networks) -> tuple[Rows, list[str]]:
    read_off = paper()["figures"]["fig6"]["read_off"]
    tolerance = read_off["tol"]
    rows = []
    for name in sorted(
        names_of(setting, read_off["end_test"], networks), key=lambda name: not name.startswith("plain")
    ):
        own = networks.get(name, [])
        row = {"Network": name, "Layers": str(own[0].depth) if own else name.partition("-")[2]}
        if setting.cifar10:
            row["Published training error %"] = about(read_off["end_train"].get(name))
            row["Published test error %"] = about(read_off["end_test"].get(name))
        rows.append(row | training_and_test(own) | length(setting, own))
    source = (
        f"Published: read off the printed Figure 6, to ±{tolerance['train']} (training) and ±{tolerance['test']} "
        f"(test). plain-110 there: {paper()['table6_cifar10']['plain_110']}."
    )
    return rows, [source if setting.cifar10 else ""]


def draw(runs: Sequence[Run]) -> Figure:
    """Training and test error (percent) by family, and of the deepest ResNets, in up to 3 panels of the paper's."""
    panels = []
    for family, own in by_family(runs).items():
        residual = family == "ResNet"
        panels.append(Panel(family, [run for run in own if run.depth <= DEEP or not residual]))
        if residual and any(run.depth > DEEP for run in own):
            panels.append(Panel("deepest ResNets", [run for run in own if run.depth >= DEEP], late=True))
    return error_figure(runs, panels)


STUDY = Study(
    title="Figure 6: training of plain and residual networks on CIFAR-10",
    section="4.2",
    experiments=(*reversed(RESNETS.values()), *reversed(PLAIN.values())),
    evaluations=(),
    command="",
    tables=tables,
    figures={"": Drawing(draw, CURVES)},
)
