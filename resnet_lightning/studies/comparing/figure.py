"""The figure of a comparison: the test errors of each seed side by side, and the curves."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from resnet_lightning.reporting.colours import OTHER_FAMILIES
from resnet_lightning.reporting.curves import TEXT_SIZE, error_curves, name_ends, quiet
from resnet_lightning.reporting.curves import draw as draw_curves
from resnet_lightning.runs.reading import Run
from resnet_lightning.studies.comparing.table import words
from resnet_lightning.studies.comparing.verdict import by_seed, of

if TYPE_CHECKING:  # matplotlib is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BASELINE = "#5B5E64"
WIDTH, HEIGHT = 7.2, 3.1  # inches


def draw(names: Sequence[str], runs: Sequence[Run]) -> Figure:
    """Two panels: errors (percent) at the last iteration by seed, and by iteration.

    Args:
        names: of the experiments, the baseline first.
    """
    from matplotlib.figure import Figure

    shades = dict(zip(names, (BASELINE, *OTHER_FAMILIES * len(names)), strict=False))
    figure = Figure(figsize=(WIDTH, HEIGHT))
    pairs, curves = figure.subplots(1, 2, width_ratios=(1, 1.25))
    figure.subplots_adjust(0.08, 0.23, 0.86, 0.87, wspace=0.32)
    draw_pairs(pairs, {name: by_seed([run for run in runs if run.network == name]) for name in names}, shades)
    pairs.set_ylabel(f"{of(runs)} error (%)", fontsize=TEXT_SIZE, labelpad=1)
    highest = 1.0
    for kind in ("train", "test"):
        found = error_curves(runs, kind, shades)
        draw_curves(curves, found, kind)
        highest = max([highest, *(float(curve.high.max()) for curve in found)])
    quiet(curves)
    curves.set_ylim(0, min(100.0, 1.05 * highest))
    curves.set_xlim(0, max(run.iterations for run in runs))
    curves.set_xlabel("iterations", fontsize=TEXT_SIZE, labelpad=1)
    curves.set_ylabel("error (%)", fontsize=TEXT_SIZE, labelpad=1)
    name_ends(curves, error_curves(runs, "test", shades))
    figure.suptitle(textwrap.shorten(words(runs), 100, placeholder=" …"), fontsize=TEXT_SIZE + 0.5, y=0.98)
    caption = (
        f"left: a line for each seed, bars: means; right: dashed training, bold {of(runs)} error, means and ranges"
    )
    figure.text(0.5, 0.02, caption, ha="center", fontsize=TEXT_SIZE - 1, color="#444444")
    return figure


def draw_pairs(axes: Axes, errors: Mapping[str, Mapping[int, float]], shades: Mapping[str, str]) -> None:
    """A point for each run, a thin line for each seed, and a bar at each mean."""
    names = list(errors)
    for seed in sorted({seed for own in errors.values() for seed in own}):
        line = [(place, errors[name][seed]) for place, name in enumerate(names) if seed in errors[name]]
        axes.plot(*zip(*line, strict=True), "-", color="#BBBBBB", linewidth=0.8, zorder=1)
    for place, name in enumerate(names):
        own = list(errors[name].values())
        axes.plot([place] * len(own), own, "o", color=shades[name], ms=4, zorder=2)
        if own:
            axes.hlines(sum(own) / len(own), place - 0.18, place + 0.18, color=shades[name], linewidth=2, zorder=3)
    quiet(axes)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_xticks(range(len(names)), [textwrap.shorten(name, 18, placeholder="…") for name in names])
    if len(names) > 3:
        axes.tick_params("x", labelrotation=30)
