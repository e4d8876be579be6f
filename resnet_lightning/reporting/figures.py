"""Figures 1 and 6 of the paper: training error thin and dashed, test error bold, over iterations."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_lightning.files import write_atomically
from resnet_lightning.reporting.runs import FULL_LENGTH, Group, Run

# Okabe and Ito's colours, told apart by colour-blind readers; in grey the labels at the curves' ends do it.
COLOURS = {20: "#E69F00", 32: "#56B4E9", 44: "#009E73", 56: "#D55E00", 110: "#000000", 1202: "#0072B2"}
TRAIN, TEST = "train/error", "test/error"
LINES = {TRAIN: {"linestyle": "--", "linewidth": 0.9}, TEST: {"linestyle": "-", "linewidth": 2.0}}


def figure1(group: Group) -> Figure:
    """Plain networks: training error on the left, test error on the right."""
    plain = [runs for runs in group.networks() if not runs[0].residual]
    panels = [(f"{what} error", plain, (column,)) for what, column in (("training", TRAIN), ("test", TEST))]
    return draw(group, panels)


def figure6(group: Group) -> Figure:
    """Plain networks, residual networks up to 110 layers, and ResNet-110 beside ResNet-1202."""
    networks = group.networks()
    plain = [runs for runs in networks if not runs[0].residual]
    residual = [runs for runs in networks if runs[0].residual]
    deepest = [runs for runs in residual if runs[0].depth >= 110]
    panels = [
        ("plain", plain, (TRAIN, TEST)),
        ("residual", [runs for runs in residual if runs[0].depth <= 110], (TRAIN, TEST)),
    ]
    if any(runs[0].depth > 110 for runs in residual):
        panels.append(("residual, 110 and 1202 layers", deepest, (TRAIN, TEST)))
    return draw(group, panels)


def draw(group: Group, panels: Sequence[tuple[str, Sequence[tuple[Run, ...]], tuple[str, ...]]]) -> Figure:
    """Panels side by side on one error axis; empty ones are left out."""
    panels = [panel for panel in panels if panel[1]]
    figure = Figure(figsize=(4.2 * max(1, len(panels)), 3.8), layout="constrained")
    axes = figure.subplots(1, max(1, len(panels)), sharey=True, squeeze=False)[0]
    scale = 1e4 if group.iterations >= 10_000 else 1
    for axis, (title, networks, columns) in zip(axes, panels, strict=False):
        ends = [curve(axis, runs, column, scale) for runs in networks for column in columns]
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("iter. (1e4)" if scale > 1 else "iterations")
        axis.set_xlim(0, group.iterations / scale * 1.02)
        axis.label_outer()
        names = [end for end in ends if end]
        limits(axis, group)
        label_ends(axis, names)
    axes[0].set_ylabel("error (%)")
    seeds = sorted({run.seed for run in group.runs})
    what = f"{len(seeds)} seeds, mean and range" if len(seeds) > 1 else f"seed {seeds[0]}" if seeds else ""
    figure.suptitle(f"{group.title}; {what}\ndashed: training error, bold: test error", fontsize=9)
    return figure


def curve(axis: Axes, runs: Sequence[Run], column: str, scale: float) -> tuple[float, str, str] | None:
    """Draws the mean over seeds and its range; returns where it ends, its name and its colour."""
    curves = [dict(zip(*run.curve(column), strict=True)) for run in runs]
    curves = [points for points in curves if points]
    if not curves:
        return None
    shared = sorted(set.intersection(*[set(points) for points in curves]))
    if not shared:
        return None
    x = np.array(shared) / scale
    values = np.array([[points[iteration] for iteration in shared] for points in curves])
    colour = COLOURS.get(runs[0].depth, "#CC79A7")
    axis.plot(x, values.mean(0), color=colour, label=f"{runs[0].network} {column}", **LINES[column])  # type: ignore[arg-type]
    if len(curves) > 1:
        axis.fill_between(x, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0)
    return float(values.mean(0)[-1]), runs[0].network, colour


def limits(axis: Axes, group: Group) -> None:
    """The paper's 0 to 20 % for its own runs; otherwise whatever is needed."""
    if group.full_length and group.iterations == FULL_LENGTH:
        axis.set_ylim(0, 20)
        axis.set_yticks([0, 5, 10, 20])
    else:
        axis.set_ylim(0, 100)
        axis.set_yticks(range(0, 101, 20))
    axis.grid(axis="y", color="0.85", linewidth=0.6)
    axis.set_axisbelow(True)


def label_ends(axis: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Names at the right, where the curves end, moved apart so that they do not overlap."""
    names: dict[str, tuple[list[float], str]] = {}
    for value, name, colour in ends:
        names.setdefault(name, ([], colour))[0].append(value)
    low, high = axis.get_ylim()
    gap = (high - low) * 0.055
    places: list[float] = []
    ordered = sorted(names.items(), key=lambda item: float(np.mean(item[1][0])))
    for _, (values, _colour) in ordered:
        wanted = min(float(np.mean(values)), high)
        places.append(max(wanted, places[-1] + gap) if places else max(wanted, low + gap / 2))
    for (name, (_, colour)), place in zip(ordered, places, strict=True):
        axis.annotate(
            name, (1.0, place), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
            color=colour, fontsize=8, va="center", annotation_clip=False,
        )  # fmt: skip


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes name.png and name.svg into a folder; returns their paths."""
    paths = [folder / f"{name}.{ending}" for ending in ("png", "svg")]
    for path in paths:
        write_atomically(path, partial(figure.savefig, format=path.suffix[1:], dpi=200))
    return paths
