"""Figure 1 and what shortcuts change: training and test errors by depth, without and with them (section 4.2)."""

from collections.abc import Sequence

from resnet_lightning.reporting.cells import NOTHING, about, length, published_mean, training_and_test
from resnet_lightning.reporting.degradation import degradation_sentence
from resnet_lightning.reporting.figures import CURVES, family_curves
from resnet_lightning.reporting.setting_tables import Networks, Rows, table_per_setting
from resnet_lightning.reporting.settings import Setting
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.experiments import TWENTY_AND_FIFTY_SIX


def tables(runs: Sequence[Run]) -> list[Table]:
    """Training and test errors (percent) by depth, without and with shortcuts: one table per setting."""
    return table_per_setting("Degradation", runs, _rows)


def _rows(setting: Setting, networks: Networks) -> tuple[Rows, list[str]]:
    table6, figure6 = paper()["table6_cifar10"]["resnet"], paper()["figures"]["fig6"]["read_off"]["end_test"]
    published = {name: about(error) for name, error in figure6.items()}
    published |= {f"ResNet-{depth}": published_mean(entry) for depth, entry in table6.items()}
    rows = []
    for name, own in networks.items():
        row = {"Network": name, "Layers": str(own[0].depth)}
        if setting.cifar10:
            row["Published test error %"] = published.get(name, NOTHING)
        rows.append(row | training_and_test(own) | length(setting, own))
    source = "Published: Table 6; ≈ is read off the printed Figure 6."
    return rows, [degradation_sentence(networks), source if setting.cifar10 else ""]


STUDY = Study(
    title="Figure 1 and what shortcuts change: plain and residual networks of 20 and 56 layers on CIFAR-10",
    section="4.2",
    experiments=TWENTY_AND_FIFTY_SIX,
    evaluations=(),
    command="",
    tables=tables,
    figures={"": Drawing(family_curves, CURVES)},
)
