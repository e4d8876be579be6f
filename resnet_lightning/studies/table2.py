"""Table 2: plain and residual networks of 18 and 34 layers on ImageNet (section 4.1)."""

from collections.abc import Sequence

from resnet_lightning.reporting.comparison import CENTRE, TOP1, comparison
from resnet_lightning.reporting.figures import CURVES, family_curves
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.experiments import TABLE2


def tables(runs: Sequence[Run]) -> list[Table]:
    """Table 2, top-1 errors in percent, plain networks and ResNets: one table per setting."""
    table = paper()["table2_plain_vs_resnet"]
    published = {
        f"{name}-{depth}": [error]
        for name, family in (("plain", "plain"), ("ResNet", "resnet"))
        for depth, error in table[family].items()
    }
    steps = [f"{table[family][34] - table[family][18]:+.2f}" for family in ("plain", "resnet")]
    note = (
        f"Published: He et al. (2015), Table 2: from 18 to 34 layers {steps[0]} points (plain) and {steps[1]} (ResNet)."
    )
    return comparison("Table 2", runs, published, (TOP1,), CENTRE[:1], note)


STUDY = Study(
    title="Table 2: plain and residual networks of 18 and 34 layers on ImageNet",
    section="4.1",
    experiments=TABLE2,
    evaluations=("ten_crop",),
    command="test",
    tables=tables,
    figures={"": Drawing(family_curves, CURVES)},
)
