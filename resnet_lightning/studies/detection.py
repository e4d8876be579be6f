"""Small detectors for a CPU: ResNet-18 and a narrow VGG-11 in the places of Table 7's networks (section 4.3)."""

from collections.abc import Sequence

from resnet_lightning.reporting.setting_tables import Networks, Rows, table_per_setting
from resnet_lightning.reporting.settings import Setting
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run
from resnet_lightning.studies import Study
from resnet_lightning.studies.detectors import Published, class_tables, row
from resnet_lightning.studies.table7 import FIGURES

COCO = ("coco/vgg11_coco", "coco/resnet18_coco")


def tables(runs: Sequence[Run]) -> list[Table]:
    """Each setting's mean average precision, percent, of COCO both, and that of each class."""

    def rows(setting: Setting, networks: Networks) -> tuple[Rows, Sequence[str]]:
        both = any(run.curve("test/mAP50")[0] for own in networks.values() for run in own)
        measures: Published = {"mAP50": {}, "mAP": {}} if both else {"mAP": {}}
        return [row(setting, name, own, measures) for name, own in networks.items()], ()

    return [*table_per_setting("Detection", runs, rows), *class_tables("Detection", runs, {}, "")]


STUDY = Study(
    title="Detection on a CPU: Faster R-CNN with ResNet-18 and VGG-11",
    section="4.3",
    experiments=tuple(f"detection/{name}" for name in ("voc07/vgg11", "voc07/resnet18", *COCO)),
    evaluations=(),
    command="",
    tables=tables,
    figures=FIGURES,
)
