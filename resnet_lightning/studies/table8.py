"""Table 8: Faster R-CNN with VGG-16 and with ResNet-101 on COCO (section 4.3)."""

from collections.abc import Sequence

from resnet_lightning.reporting.setting_tables import Networks, Rows, names_of, table_per_setting
from resnet_lightning.reporting.settings import Setting, whole
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Study
from resnet_lightning.studies.detectors import JOINT, class_tables, detector, row
from resnet_lightning.studies.table7 import FIGURES

MEASURES = {"mAP50": "mAP@.5", "mAP": "mAP@[.5,.95]"}


def tables(runs: Sequence[Run]) -> list[Table]:
    """Table 8, COCO's two mAPs in percent, and the classes: one of each per setting."""
    table = paper()["table8_coco_baseline"]
    published = {
        measure: {detector(name): value for name, value in table[theirs].items()}
        for measure, theirs in MEASURES.items()
    }

    def rows(setting: Setting, networks: Networks) -> tuple[Rows, Sequence[str]]:
        names = names_of(setting, published["mAP"], networks)
        return [row(setting, name, networks.get(name, ()), published) for name in names], (
            "Published: He et al. (2015), Table 8, the 40k images of COCO's validation set of 2014.",
            JOINT,
        )

    per_class = class_tables("Classes of Table 8", runs, {}, "")
    return [*table_per_setting("Table 8", runs, rows, whole("COCO val2014")), *per_class]


STUDY = Study(
    title="Table 8: Faster R-CNN with VGG-16 and ResNet-101 on COCO",
    section="4.3",
    experiments=tuple(f"detection/coco/{name}" for name in ("resnet101", "vgg16")),
    evaluations=(),
    command="",
    tables=tables,
    figures={name: FIGURES[name] for name in ("", "-detections")},  # of COCO's 80 classes there are no curves
)
