"""Table 9: what improves ResNet-101's detector on COCO without another network: box refinement so far (appendix B)."""

from collections.abc import Sequence

from resnet_lightning.reporting.cells import NOTHING, evaluated, measured_last
from resnet_lightning.reporting.setting_tables import Networks, Rows, table_per_setting
from resnet_lightning.reporting.settings import Setting, whole
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Study
from resnet_lightning.studies.detectors import WORDS, detector

MEASURES = ("mAP50", "mAP")  # in the paper's order
REFINEMENT = "+box refinement"
UNBUILT = ("+context", "+multi-scale testing", "ensemble (3 networks)")


def tables(runs: Sequence[Run]) -> list[Table]:
    """Table 9 on COCO's validation set, mAP in percent: one per setting. Its test-dev answers are not public."""
    published = paper()["table9_coco_improvements"]["rows"]
    residual, vgg = detector("ResNet-101"), detector("VGG-16")
    theirs = {  # by network, and whether its boxes are refined
        (vgg, False): published["baseline VGG-16"],
        (residual, False): published["baseline ResNet-101"],
        (residual, True): published[REFINEMENT],
    }

    def rows(setting: Setting, networks: Networks) -> tuple[Rows, Sequence[str]]:
        measured = [(name, refined) for name in networks for refined in (False, True)]
        keys = dict.fromkeys([*(theirs if setting.full else ()), *measured])
        found = [_row(name, networks.get(name, ()), refined, theirs.get((name, refined))) for name, refined in keys]
        if setting.full:
            names = {name: f"{residual} {name}" if name.startswith("+") else name for name in UNBUILT}
            found += [_row(shown, (), False, published[name]) for name, shown in names.items()]
        return found, (
            "Published: He et al. (2015), Table 9, the validation set. Each row adds to the one above it.",
            "Context, testing at several scales and ensembles are not built here.",
        )

    return table_per_setting("Table 9", runs, rows, whole("COCO val2014"))


def _row(name: str, own: Sequence[Run], refined: bool, published: Sequence[float | None] | None) -> dict[str, str]:
    cells = {"Network": f"{name} {REFINEMENT}" if refined else name}
    for measure, theirs in zip(MEASURES, published or (None, None), strict=False):
        ours = evaluated(own, "refined", measure) if refined else measured_last(own, f"test/{measure}")
        cells[f"{WORDS[measure]} %"] = ours
        cells[f"Published {WORDS[measure]} %"] = NOTHING if theirs is None else f"{theirs:.1f}"
    return cells


STUDY = Study(
    title="Table 9: box refinement of ResNet-101's detector on COCO",
    section="4.3",
    experiments=("detection/coco/resnet101",),
    evaluation="refined",
    command="test",
    tables=tables,
    figures={},
)
