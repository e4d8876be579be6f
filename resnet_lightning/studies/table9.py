"""Table 9: what improves ResNet-101's detector on COCO without another network (appendix B)."""

from collections.abc import Sequence

from resnet_lightning.reporting.cells import NOTHING, evaluated, measured_last
from resnet_lightning.reporting.setting_tables import Networks, Rows, table_per_setting
from resnet_lightning.reporting.settings import Setting, whole
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Study
from resnet_lightning.studies.detectors import WORDS, detector

MEASURES = ("mAP50", "mAP")  # in the paper's order
BOXES = "boxes"  # as they are found
TESTED = {BOXES: NOTHING, "refined": "box refinement", "multi_scale": "box refinement, multi-scale testing"}


def tables(runs: Sequence[Run]) -> list[Table]:
    """Table 9 on COCO's validation set, mAP in percent: one per setting. Its test-dev answers are not public."""
    published = paper()["table9_coco_improvements"]["rows"]
    residual, vgg = detector("ResNet-101"), detector("VGG-16")
    theirs = {  # by network, and how it was tested
        (vgg, BOXES): published["baseline VGG-16"],
        (residual, BOXES): published["baseline ResNet-101"],
        (residual, "refined"): published["+box refinement"],
        (f"{residual} with context", "refined"): published["+context"],
        (f"{residual} with context", "multi_scale"): published["+multi-scale testing"],
    }

    def rows(setting: Setting, networks: Networks) -> tuple[Rows, Sequence[str]]:
        measured = [(name, how) for name in networks for how in TESTED]
        keys = dict.fromkeys([*(theirs if setting.full else ()), *measured])
        known = theirs if setting.papers else {}
        found = [_row(name, networks.get(name, ()), how, known.get((name, how))) for name, how in keys]
        return found, (
            "Published: He et al. (2015), Table 9, the validation set. The ensemble, tested on images whose answers "
            "are not public, is not built here.",
        )

    return table_per_setting("Table 9", runs, rows, whole("COCO val2014"))


def _row(name: str, own: Sequence[Run], how: str, published: Sequence[float | None] | None) -> dict[str, str]:
    cells = {"Network": name, "Tested with": TESTED[how]}
    for measure, theirs in zip(MEASURES, published or (None, None), strict=False):
        ours = measured_last(own, f"test/{measure}") if how == BOXES else evaluated(own, how, measure)
        cells[f"{WORDS[measure]} %"] = ours
        cells[f"Published {WORDS[measure]} %"] = NOTHING if theirs is None else f"{theirs:.1f}"
    return cells


STUDY = Study(
    title="Table 9: ResNet-101's detector on COCO, improved",
    section="4.3",
    experiments=("detection/coco/resnet101", "detection/coco/resnet101_context"),
    evaluations=("refined", "multi_scale"),
    command="test",
    tables=tables,
    figures={},
)
