"""Names in figures: beside points, and to the right of lines, none over another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from resnet_lightning.benchmarks.complexity.results import Result
from resnet_lightning.reporting.curves import LABEL_SIZE, spread

if TYPE_CHECKING:  # matplotlib is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

RULE = "#888888"
PUSHES = (0.2, 0.4, 0.7, 1.0, 1.5, 2.0)  # with which names are pushed apart


def label_points(
    axes: Axes, known: Sequence[Result], places: list[float], heights: list[float], shades: dict[str, str]
) -> None:
    """Names beside the points, none over another: adjustText pushes them apart, harder until none overlap."""
    from adjustText import adjust_text
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=1.8, foreground="white")]  # of names that lie on an area, or on the front
    arrows = {"arrowstyle": "-", "color": RULE, "linewidth": 0.5}
    for force in PUSHES:
        for drawn in [*axes.texts, *axes.patches]:  # of the push before: names, and what joins them to points
            drawn.remove()
        figure_of(axes).canvas.draw()
        texts = [
            axes.text(place, height, result.name, size=LABEL_SIZE - 0.5, color=shades[result.name], path_effects=halo)
            for place, height, result in zip(places, heights, known, strict=True)
        ]
        # A number of steps, not seconds, so that the same results give the same figure.
        forces = {"force_text": (force, force), "iter_lim": 500, "expand": (1.1, 1.3)}
        adjust_text(texts, places, heights, ax=axes, arrowprops=arrows, **forces)
        if not overlaps(texts):
            return


def overlaps(texts: Sequence[Text]) -> int:
    """How many pairs of names lie over each other."""
    boxes = [text.get_window_extent() for text in texts]
    return sum(one.overlaps(other) for one, other in combinations(boxes, 2))


def name_lines(axes: Axes, ends: Sequence[tuple[float, int, str]], shades: dict[str, str]) -> None:
    """Names to the right of the axes, each joined to the end of its line (value, batch size, name; rising)."""
    low, high = np.log(axes.get_ylim())
    shares = [float((np.log(value) - low) / (high - low)) for value, _, _ in ends]
    gap = 1.3 * LABEL_SIZE / (axes.get_window_extent().height * 72 / figure_of(axes).dpi)
    for (value, batch, name), place in zip(ends, spread(shares, gap, 0.0, 1.0), strict=True):
        axes.annotate(
            name,
            (batch, value),
            (1.06, place),
            textcoords="axes fraction",
            color=shades[name],
            fontsize=LABEL_SIZE,
            verticalalignment="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": shades[name], "linewidth": 0.4, "alpha": 0.6, "shrinkB": 2},
        )


def figure_of(axes: Axes) -> Figure:
    figure: Figure = axes.figure  # type: ignore[assignment]
    return figure
