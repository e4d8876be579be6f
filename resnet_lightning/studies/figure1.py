"""Figure 1: a deeper plain network has the higher training error (section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from resnet_lightning.reporting.figures import CURVES, Panel, by_family, error_figure
from resnet_lightning.runs.reading import Run
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.degradation import tables
from resnet_lightning.studies.experiments import PLAIN

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(runs: Sequence[Run]) -> Figure:
    """Training and test error (percent) of the plain networks, in two panels."""
    plain = by_family(runs)["plain"]
    panels = [Panel("plain", plain, ("train",), "training error"), Panel("plain", plain, ("test",), "test error")]
    return error_figure(runs, panels)


STUDY = Study(
    title="Figure 1: plain networks of 20 and 56 layers on CIFAR-10",
    section="4.2",
    experiments=(PLAIN[20], PLAIN[56]),
    evaluations=(),
    command="",
    tables=tables,
    figures={"": Drawing(draw, CURVES)},
)
