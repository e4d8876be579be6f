"""Figure 7: standard deviations of layer responses, sorted, their medians, and how they came about (section 4.2)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from resnet_lightning.reporting.cells import NOTHING, about, length, seeds
from resnet_lightning.reporting.colours import colours
from resnet_lightning.reporting.curves import TEXT_SIZE, quiet
from resnet_lightning.reporting.layerwise import mean_rows
from resnet_lightning.reporting.setting_tables import Networks, Rows, names_of, table_per_setting
from resnet_lightning.reporting.settings import Setting, by_network, groups, whole
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.folder import RESPONSES
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.experiments import PLAIN, RESNETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def tables(runs: Sequence[Run]) -> list[Table]:
    """Medians over the layers of the standard deviations of their responses: one table per setting."""
    return table_per_setting("Figure 7", runs, _rows, whole("CIFAR-10"))


def _rows(setting: Setting, networks: Networks) -> tuple[Rows, list[str]]:
    published = paper()["figures"]["fig7"]["read_off"]
    rows, medians = [], {}
    for name in names_of(setting, published["median_std"], networks):
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
    return rows, notes[: 2 + setting.cifar10]


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


def draw(runs: Sequence[Run]) -> Figure | None:
    """Standard deviations by layer, sorted by magnitude, and their median by iteration, of runs of one setting."""
    from matplotlib.figure import Figure

    networks, shades = by_network(runs), colours(runs)
    recorded = {name: found for name, own in networks.items() if (found := mean_rows(own, RESPONSES))}
    if not recorded:
        return None
    figure = Figure(figsize=(6.2, 6.6), layout="constrained")
    panels = figure.subplots(3, 1)
    for name, found in recorded.items():
        last = found[max(found)]
        layers = np.arange(1, len(last) + 1)
        medians = [float(np.median(values)) for values in found.values()]
        curves = ((layers, last), (layers, np.sort(last)[::-1]), (list(found), medians))
        for axes, (x, y) in zip(panels, curves, strict=True):
            style = "--" if networks[name][0].family == "plain" else "-"
            axes.plot(x, y, style, color=shades[name], linewidth=1.1, label=name)
    words = ("layer index (original)", "layer index (sorted by magnitude)", "iterations (median over the layers)")
    for axes, label in zip(panels, words, strict=True):
        quiet(axes)
        axes.set_xlabel(label, fontsize=TEXT_SIZE, labelpad=1)
        axes.set_ylabel("std", fontsize=TEXT_SIZE, labelpad=1)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    panels[0].legend(fontsize=TEXT_SIZE - 0.5, frameon=False, ncols=3, loc="upper right")
    figure.suptitle("\n".join(textwrap.wrap(groups(runs)[0][0].title, 86)), fontsize=TEXT_SIZE + 0.5)
    return figure


STUDY = Study(
    title="Figure 7: layer responses of plain and residual networks on CIFAR-10",
    section="4.2",
    experiments=(RESNETS[110], PLAIN[56], RESNETS[56], PLAIN[20], RESNETS[20]),
    evaluations=(),
    command="",
    tables=tables,
    figures={"": Drawing(draw, "Standard deviations of layer responses, by layer, sorted, and by iteration")},
)
