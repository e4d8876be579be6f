"""Table 6: test errors of ResNet-20 to ResNet-1202 on CIFAR-10 (section 4.2)."""

from collections.abc import Mapping, Sequence
from typing import Any

from resnet_lightning.reporting.cells import NOTHING, best, errors, length, measured, published_mean, seeds
from resnet_lightning.reporting.figures import CURVES
from resnet_lightning.reporting.setting_tables import Networks, Rows, table_per_setting
from resnet_lightning.reporting.settings import Setting, whole
from resnet_lightning.reporting.table import Table
from resnet_lightning.reporting.verdict import MARGIN, compare
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.experiments import RESNETS
from resnet_lightning.studies.figure6 import draw

Entry = Mapping[str, Any]  # a row of the paper's


def tables(runs: Sequence[Run]) -> list[Table]:
    """Test errors in percent: one table per setting; a full-length one has every row of the paper."""
    return table_per_setting("Table 6", runs, _rows, whole("CIFAR-10"))


def _rows(setting: Setting, networks: Networks) -> tuple[Rows, list[str]]:
    published = paper()["table6_cifar10"]
    resnets = {f"ResNet-{depth}": {"layers": depth, **entry} for depth, entry in published["resnet"].items()}
    # ResNets first, as in the paper; the plain networks are not in its table.
    ours = sorted(networks, key=lambda name: networks[name][0].family == "plain")
    names = dict.fromkeys([*(resnets if setting.full else ()), *ours])
    entries: list[tuple[str, Entry]] = [(name, resnets.get(name, {}) if setting.cifar10 else {}) for name in names]
    rows = [_row(setting, name, entry, networks.get(name, [])) for name, entry in entries]
    if setting.full:
        others = [(entry["method"], entry) for entry in published["other"]]
        rows = [_row(setting, name, entry, []) for name, entry in others] + rows
        entries = others + entries
    return rows, _notes(rows, entries) if setting.cifar10 else []


def _row(setting: Setting, name: str, entry: Entry, own: Sequence[Run]) -> dict[str, str]:
    published = entry.get("mean", entry.get("error"))  # means beside means
    compared = compare(errors(own, "test"), published, entry) if setting.full and published else None
    return {
        "Network": name,
        "Layers": str(own[0].depth if own else entry.get("layers", NOTHING)),
        "Parameters": f"{own[0].parameters / 1e6:.2f}M" if own else entry.get("params", NOTHING),
        "Published error %": published_mean(entry),
        "Measured error %": measured(own, "test"),
        "Seeds": seeds(own),
        "Difference": str(compared or NOTHING),
        "Verdict": (compared and compared.verdict) or NOTHING,
        "Best test error %": best(own),
        "Training error %": measured(own, "train"),
        **length(setting, own),
        "Data": setting.data if own else NOTHING,
    }


def _notes(rows: Rows, entries: Sequence[tuple[str, Entry]]) -> list[str]:
    notes = ["Published: He et al. (2015), Table 6."]
    if bests := [f"{name} {entry['error']:.2f}" for name, entry in entries if "mean" in entry]:
        notes.append(
            f"Where the paper has several runs, the published error is their mean. Its best: {', '.join(bests)}."
        )
    if any("[" in row["Difference"] for row in rows):
        notes.append(
            "[…] is the 90 % confidence interval of the difference, equivalent if all of it is within "
            f"±{MARGIN} points (two one-sided tests at 5 %). A published error of a single run counts as exact."
        )
    if any(row["Best test error %"] != NOTHING for row in rows):
        notes.append(
            "Best: the lowest error of all evaluations of a run. Others often report it. It is no result, for the test "
            "set has chosen it."
        )
    return notes


STUDY = Study(
    title="Table 6: test error on CIFAR-10",
    section="4.2",
    experiments=tuple(reversed(RESNETS.values())),
    evaluations=(),
    command="",
    tables=tables,
    figures={"": Drawing(draw, CURVES)},
)
