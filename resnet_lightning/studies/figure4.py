"""Figure 4: training of plain and residual networks of 18 and 34 layers on ImageNet (section 4.1)."""

from collections.abc import Sequence

from resnet_lightning.reporting.cells import about, length
from resnet_lightning.reporting.comparison import curve_ends
from resnet_lightning.reporting.degradation import degradation_sentence
from resnet_lightning.reporting.figures import CURVES, family_curves
from resnet_lightning.reporting.setting_tables import Networks, Rows, names_of, table_per_setting
from resnet_lightning.reporting.settings import Setting, whole
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.experiments import TABLE2


def tables(runs: Sequence[Run]) -> list[Table]:
    """The errors (percent) at which the curves end, in the paper and here: one table per setting."""
    return table_per_setting("Figure 4", runs, _rows, whole("ImageNet"))


def _rows(setting: Setting, networks: Networks) -> tuple[Rows, list[str]]:
    read_off = paper()["figures"]["fig4"]["read_off"]
    ends, tolerance = read_off["end_55e4"], read_off["tol"]
    rows = []
    for name in names_of(setting, ends, networks):
        own = networks.get(name, [])
        row = {"Network": name}
        if setting.imagenet:
            row["Published training error %"] = about(ends[name][1] if name in ends else None)
            row["Published validation error %"] = about(ends[name][0] if name in ends else None)
        rows.append(row | curve_ends(own) | length(setting, own))
    source = (
        f"Published: read off the printed Figure 4 at its end, 550,000 iterations, to ±{tolerance['train']} (training) "
        f"and ±{tolerance['val']} (validation, centre crops)."
    )
    return rows, [degradation_sentence(networks), source if setting.imagenet else ""]


STUDY = Study(
    title="Figure 4: training of plain and residual networks on ImageNet",
    section="4.1",
    experiments=TABLE2,
    evaluations=(),
    command="",
    tables=tables,
    figures={"": Drawing(family_curves, CURVES)},
)
