"""Table 7: Faster R-CNN with VGG-16 and ResNet-101 on PASCAL VOC 2007 (section 4.3); and Table 10, its classes."""

from collections.abc import Sequence

from resnet_lightning.reporting.setting_tables import Networks, Rows, names_of, table_per_setting
from resnet_lightning.reporting.settings import Setting, whole
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.detectors import (
    JOINT,
    class_tables,
    detector,
    draw_curves,
    draw_detections,
    draw_precision,
    row,
)

VOC_07, WITH_12 = "VOC07 test (07+12)", " 07+12"


FIGURES = {
    "": Drawing(draw_curves, "Training loss and mAP by iteration"),
    "-precision": Drawing(draw_precision, "Precision by recall of each class"),
    "-detections": Drawing(draw_detections, "Tested images with the boxes, classes and scores that were found"),
}


def tables(runs: Sequence[Run]) -> list[Table]:
    """Table 7's column of VOC 2007, mAP in percent, and Table 10: one of each per setting."""
    published = {detector(name): value for name, value in paper()["table7_voc_baseline"][VOC_07].items()}

    def rows(setting: Setting, networks: Networks) -> tuple[Rows, Sequence[str]]:
        names = names_of(setting, published, networks)
        theirs = published if published.keys() & names else {}  # small networks have none
        notes = ("Published: He et al. (2015), Table 7, VOC 2007 test, trained on 07+12.", JOINT) if theirs else ()
        return [row(setting, name, networks.get(name, ()), {"mAP": theirs}) for name in names], notes

    table = paper()["table10_voc07_per_class"]
    classes = {
        detector(name.removesuffix(WITH_12)): dict(zip(table["classes"], contents["ap"], strict=True))
        for name, contents in table["rows"].items()
    }
    per_class = class_tables("Table 10", runs, classes, "Published: He et al. (2015), Table 10.")
    return [*table_per_setting("Table 7", runs, rows, whole("VOC 2007 test")), *per_class]


STUDY = Study(
    title="Table 7: Faster R-CNN with VGG-16 and ResNet-101 on PASCAL VOC",
    section="4.3",
    experiments=tuple(f"detection/voc07/{name}" for name in ("resnet101", "vgg16")),
    evaluations=(),
    command="",
    tables=tables,
    figures=FIGURES,
)
