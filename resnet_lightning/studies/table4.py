"""Table 4: the networks of Table 3, tested at all positions of five scales (section 4.1)."""

from collections.abc import Sequence

from resnet_lightning.reporting.comparison import Column, comparison
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Study
from resnet_lightning.studies.experiments import BOTTLENECKS, OPTIONS_B_AND_C

MULTI_SCALE = (
    Column("Multi-scale", "top-1", "multi_scale", "error", 0),
    Column("Multi-scale", "top-5", "multi_scale", "top5_error", 1),
    Column("No-flip", "top-1", "multi_scale", "error_without_flips"),
    Column("No-flip", "top-5", "multi_scale", "top5_error_without_flips"),
)


def tables(runs: Sequence[Run]) -> list[Table]:
    """Table 4, top-1 and top-5 errors in percent of single networks tested at several scales: one table per setting."""
    note = (
        "Published: He et al. (2015), Table 4, on the validation set († on the test set). It does not say whether "
        "flipped images were averaged too: measured with them (multi-scale) and without (no-flip)."
    )
    return comparison("Table 4", runs, paper()["table4_single_model"]["rows"], MULTI_SCALE, (), note)


STUDY = Study(
    title="Table 4: single networks on ImageNet, five scales",
    section="4.1",
    experiments=(*OPTIONS_B_AND_C, *BOTTLENECKS),
    evaluations=("multi_scale",),
    command="test",
    tables=tables,
    figures={},
)
