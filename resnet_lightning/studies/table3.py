"""Table 3: shortcuts A, B and C, and 50, 101 and 152 layers, on ImageNet, tested with ten crops (section 4.1)."""

from collections.abc import Sequence

from resnet_lightning.reporting.comparison import CENTRE, TOP1, TOP5, comparison
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Study
from resnet_lightning.studies.experiments import BOTTLENECKS, OPTIONS_B_AND_C, TABLE2


def tables(runs: Sequence[Run]) -> list[Table]:
    """Table 3, top-1 and top-5 errors in percent of 10-crop testing: one table per setting."""
    note = "Published: He et al. (2015), Table 3; its VGG-16 is its authors' own test. ResNet-50 and deeper: option B."
    return comparison("Table 3", runs, paper()["table3_10crop_val"]["rows"], (TOP1, TOP5), CENTRE, note)


STUDY = Study(
    title="Table 3: shortcuts A, B and C and deeper networks on ImageNet, ten crops",
    section="4.1",
    experiments=("imagenet/table3/vgg16", *TABLE2[:2], *OPTIONS_B_AND_C, *BOTTLENECKS),
    evaluations=("ten_crop",),
    command="test",
    tables=tables,
    figures={},
)
