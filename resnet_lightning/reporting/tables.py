"""The measured errors beside the paper's: Table 6, the degradation, and the ends of the curves of Figure 6."""

from collections.abc import Sequence
from typing import Any

from resnet_lightning.reporting.cells import about, best, length, setting_table
from resnet_lightning.reporting.degradation import degradation_sentence
from resnet_lightning.reporting.groups import (
    NOTHING,
    PAPERS,
    Setting,
    by_network,
    errors,
    groups,
    measured,
    seeds,
)
from resnet_lightning.reporting.table import Table
from resnet_lightning.reporting.verdict import MARGIN, compare
from resnet_lightning.runs.reading import Run, paper

UNMEASURED = Setting("CIFAR-10", PAPERS["CIFAR-10"][0], ())


def table6(runs: Sequence[Run]) -> list[Table]:
    """Table 6, test errors in percent: one table per setting; a full-length one has every row of the paper."""
    published = paper()["table6_cifar10"]
    others = [(entry["method"], entry) for entry in published["other"]]
    resnets = {f"ResNet-{depth}": {"layers": depth, **entry} for depth, entry in published["resnet"].items()}
    tables = []
    for setting, group in groups(runs) or [(UNMEASURED, [])]:
        networks = by_network(group)
        plain = [name for name in networks if name.startswith("plain")]
        # ResNets first, as in the paper; the plain networks are not in its table.
        residual = [name for name in networks if name not in plain]
        names = dict.fromkeys([*(resnets if setting.full else ()), *residual, *plain])
        entries = [(name, resnets.get(name, {}) if setting.cifar10 else {}) for name in names]
        rows = [_row6(setting, name, entry, networks.get(name, [])) for name, entry in entries]
        if setting.full:
            rows = [_row6(setting, name, entry, []) for name, entry in others] + rows
            entries = others + entries
        bests = [f"{name} {entry['error']:.2f}" for name, entry in entries if "mean" in entry]
        notes = ["Published: He et al. (2015), Table 6."]
        if bests:
            notes = [f"{notes[0]} Where it gives a mean of several runs, that; its best: {', '.join(bests)}."]
        if any("[" in row["Difference"] for row in rows):
            notes.append(
                "[…] is the 90 % confidence interval of the difference, equivalent if all of it is within "
                f"±{MARGIN} points (two one-sided tests at 5 %). A published error of a single run counts as exact."
            )
        if any(row["Best test error %"] != NOTHING for row in rows):
            notes.append(
                "Best: the lowest of all evaluations of a run, as it is often reported; the test set has chosen it, so "
                "that it is no result."
            )
        tables.append(setting_table("Table 6", setting, group, rows, notes if setting.cifar10 else []))
    return tables


def degradation_table(runs: Sequence[Run]) -> list[Table]:
    """Training and test errors (percent) by depth, without and with shortcuts: one table per setting."""
    table6, figure6 = paper()["table6_cifar10"]["resnet"], paper()["figures"]["fig6"]["read_off"]["end_test"]
    published = {name: about(error) for name, error in figure6.items()}
    published |= {f"ResNet-{depth}": _published(entry) for depth, entry in table6.items()}
    tables = []
    for setting, group in groups(runs):
        rows = []
        for name, own in by_network(group).items():
            row = {"Network": name, "Layers": str(own[0].depth)}
            if setting.cifar10:
                row["Published test error %"] = published.get(name, NOTHING)
            rows.append(row | _errors(own) | length(setting, own))
        notes = [degradation_sentence(group), "Published: Table 6; ≈ is read off the printed Figure 6."]
        tables.append(setting_table("Degradation", setting, group, rows, notes[: 1 + setting.cifar10]))
    return tables


def figure6_table(runs: Sequence[Run]) -> list[Table]:
    """The errors (percent) at which the curves of Figure 6 end, in the paper and here: one table per setting."""
    read_off = paper()["figures"]["fig6"]["read_off"]
    tolerance = read_off["tol"]
    tables = []
    for setting, group in groups(runs) or [(UNMEASURED, [])]:
        networks = by_network(group)
        names = dict.fromkeys([*(read_off["end_test"] if setting.full else ()), *networks])
        rows = []
        for name in sorted(names, key=lambda name: not name.startswith("plain")):
            own = networks.get(name, [])
            row = {"Network": name, "Layers": str(own[0].depth) if own else name.partition("-")[2]}
            if setting.cifar10:
                row["Published training error %"] = about(read_off["end_train"].get(name))
                row["Published test error %"] = about(read_off["end_test"].get(name))
            rows.append(row | _errors(own) | length(setting, own))
        notes = [
            f"Published: read off the printed Figure 6, to ±{tolerance['train']} (training) and ±{tolerance['test']} "
            f"(test). plain-110 there: {paper()['table6_cifar10']['plain_110']}."
        ]
        tables.append(setting_table("Figure 6", setting, group, rows, notes if setting.cifar10 else []))
    return tables


def _row6(setting: Setting, name: str, entry: dict[str, Any], own: list[Run]) -> dict[str, str]:
    published = entry.get("mean", entry.get("error"))  # means beside means
    compared = compare(errors(own, "test"), published, entry) if setting.full and published else None
    return {
        "Network": name,
        "Layers": str(own[0].depth if own else entry.get("layers", NOTHING)),
        "Parameters": f"{own[0].parameters / 1e6:.2f}M" if own else entry.get("params", NOTHING),
        "Published error %": _published(entry),
        "Measured error %": measured(own, "test"),
        "Seeds": seeds(own),
        "Difference": str(compared or NOTHING),
        "Verdict": (compared and compared.verdict) or NOTHING,
        "Best test error %": best(own),
        "Training error %": measured(own, "train"),
        **length(setting, own),
        "Data": setting.data if own else NOTHING,
    }


def _errors(own: list[Run]) -> dict[str, str]:
    return {"Training error %": measured(own, "train"), "Test error %": measured(own, "test"), "Seeds": seeds(own)}


def _published(entry: dict[str, Any]) -> str:
    if "mean" in entry:
        return f"{entry['mean']:.2f} ± {entry['std']:.2f}"
    return f"{entry['error']:.2f}" if entry else NOTHING
