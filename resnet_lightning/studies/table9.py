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


def tables(runs: Sequence[Run]) -> list[Table]:
    """Table 9 on COCO's validation set, mAP in percent: one per setting. Its test-dev answers are not public."""
    published = paper()["table9_coco_improvements"]["rows"]
    papers = {detector(name.removeprefix("baseline ")): name for name in published if name.startswith("baseline ")}
    own = detector("ResNet-101")

    def rows(setting: Setting, networks: Networks) -> tuple[Rows, Sequence[str]]:
        found = [
            (f"{name}{f' {REFINEMENT}' * refined}", networks.get(name, ()), refined, _published(name, refined))
            for name in dict.fromkeys([*(papers if setting.full else ()), *networks])
            for refined in (False, True)
            if name in networks or not refined or name == own
        ]
        if setting.full:
            others = [name for name in published if name not in (*papers.values(), REFINEMENT)]
            found += [(f"{own} {name}" if name[0] == "+" else name, (), False, published[name]) for name in others]
        return [_row(*each) for each in found], (
            "Published: He et al. (2015), Table 9, the validation set. Each row adds to the one above it.",
            "Context, testing at several scales and ensembles are not built here.",
        )

    def _published(name: str, refined: bool) -> Sequence[float | None]:
        row = REFINEMENT if refined and name == own else "" if refined else papers.get(name, "")
        return published.get(row, (None, None))  # type: ignore[no-any-return]

    return table_per_setting("Table 9", runs, rows, whole("COCO val2014"))


def _row(name: str, own: Sequence[Run], refined: bool, published: Sequence[float | None]) -> dict[str, str]:
    cells = {"Network": name}
    for measure, theirs in zip(MEASURES, published, strict=False):
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
