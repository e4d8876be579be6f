"""Figure 7: standard deviations of layer responses in the paper's layout, their medians, and how they came about."""

import textwrap
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure

from resnet_lightning.reporting.cells import about, length, setting_table
from resnet_lightning.reporting.curves import TEXT_SIZE, colour, quiet
from resnet_lightning.reporting.groups import NOTHING, by_network, groups, seeds
from resnet_lightning.reporting.layerwise import mean_rows
from resnet_lightning.reporting.table import Table
from resnet_lightning.reporting.tables import UNMEASURED
from resnet_lightning.runs.folder import RESPONSES
from resnet_lightning.runs.reading import Run, paper


def figure7_table(runs: Sequence[Run]) -> list[Table]:
    """Medians over the layers of the standard deviations of their responses: one table per setting."""
    published = paper()["figures"]["fig7"]["read_off"]
    tables = []
    for setting, group in groups(runs) or [(UNMEASURED, [])]:
        networks = by_network(group)
        rows, medians = [], {}
        for name in dict.fromkeys([*(published["median_std"] if setting.full else ()), *networks]):
            own = networks.get(name, [])
            found = mean_rows(own, RESPONSES)
            last = found[max(found)] if found else np.array([])
            if found and np.isfinite(last).all():
                medians[name] = float(np.median(last))
            row = {"Network": name, "Layers": str(len(last) or NOTHING)}
            if setting.cifar10:
                row["Published median"] = about(published["median_std"].get(name))
            row["Measured median"] = f"{medians.get(name, np.nan):.2f}" if found else NOTHING
            if setting.cifar10:
                row["Published first layer"] = about(published["first_layer"].get(name))
            row["First layer"] = f"{last[0]:.2f}" if found else NOTHING
            row["Smallest"] = f"{last.min():.2f}" if found else NOTHING
            row["Largest"] = f"{last.max():.2f}" if found else NOTHING
            row["At iteration"] = f"{max(found):,}" if found else NOTHING
            rows.append(row | {"Seeds": seeds(own)} | length(setting, own))
        notes = [
            order_sentence(medians),
            "Standard deviation of a layer's output after batch normalisation, before the ReLU or the addition, over "
            "all test images, positions and channels.",
            f"Published: read off the printed Figure 7, to ±{published['tol']}; the paper does not say over what it "
            "took the standard deviation.",
        ]
        tables.append(setting_table("Figure 7", setting, group, rows, notes[: 2 + setting.cifar10]))
    return tables


def order_sentence(medians: dict[str, float]) -> str:
    """Whether the paper's order holds: ResNets below plain networks of their depth, deeper ResNets lower."""
    depths = {name.removeprefix("ResNet-"): value for name, value in medians.items() if name.startswith("ResNet-")}
    ordered = sorted((int(depth), value) for depth, value in depths.items() if depth.isdecimal())
    beside = [(depth, medians[f"plain-{depth}"], value) for depth, value in ordered if f"plain-{depth}" in medians]
    said = []
    if beside:
        numbers = ", ".join(f"{value:.2f} beside {plain:.2f} at {depth} layers" for depth, plain, value in beside)
        below = [value < plain for _, plain, value in beside]
        said.append(f"ResNets respond {_verdict(below, 'less than plain networks', 'not less')} ({numbers})")
    if len(ordered) > 1:
        falls = [one > other for (_, one), (_, other) in pairwise(ordered)]
        numbers = ", ".join(f"{value:.2f} at {depth}" for depth, value in ordered)
        said.append(f"deeper ResNets respond {_verdict(falls, 'less', 'not less')} ({numbers})")
    return f"The paper's order: {'; '.join(said)}." if said else ""


def _verdict(conditions: Sequence[bool], yes: str, no: str) -> str:
    return yes if all(conditions) else f"{yes} in some cases only" if any(conditions) else no


def figure7(runs: Sequence[Run]) -> Figure:
    """Standard deviations by layer, sorted by magnitude, and their median by iteration, of runs of one setting."""
    figure = Figure(figsize=(6.2, 6.6), layout="constrained")
    panels = figure.subplots(3, 1)
    for name, own in by_network(runs).items():
        found = mean_rows(own, RESPONSES)
        if not found:
            continue
        last = found[max(found)]
        layers = np.arange(1, len(last) + 1)
        medians = [float(np.median(values)) for values in found.values()]
        curves = ((layers, last), (layers, np.sort(last)[::-1]), (list(found), medians))
        for axes, (x, y) in zip(panels, curves, strict=True):
            style = "--" if own[0].shortcut == "none" else "-"
            axes.plot(x, y, style, color=colour(own[0].depth), linewidth=1.1, label=name)
    words = ("layer index (original)", "layer index (sorted by magnitude)", "iterations (median over the layers)")
    for axes, label in zip(panels, words, strict=True):
        quiet(axes)
        axes.set_xlabel(label, fontsize=TEXT_SIZE, labelpad=1)
        axes.set_ylabel("std", fontsize=TEXT_SIZE, labelpad=1)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    if panels[0].lines:
        panels[0].legend(fontsize=TEXT_SIZE - 0.5, frameon=False, ncols=3, loc="upper right")
    figure.suptitle("\n".join(textwrap.wrap(groups(runs)[0][0].title, 86)), fontsize=TEXT_SIZE + 0.5)
    return figure
