"""Figures of error curves, a panel for each family of networks, in the paper's layout; and every figure's files."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from resnet_lightning.files import write_atomically
from resnet_lightning.reporting.cells import Kind
from resnet_lightning.reporting.colours import colours
from resnet_lightning.reporting.curves import (
    FRAMES,
    LATE,
    TEXT_SIZE,
    Curve,
    draw,
    error_curves,
    name_ends,
    scale,
)
from resnet_lightning.reporting.settings import Setting, by_network, groups
from resnet_lightning.runs.reading import Run

if TYPE_CHECKING:  # matplotlib is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES = "Curves of errors by iteration"  # what a figure of them shows, in words
Curves = dict[Kind, list[Curve]]


class Panel(NamedTuple):
    title: str
    runs: list[Run]
    kinds: tuple[Kind, ...] = ("train", "test")
    measure: str = "error"
    late: bool = False  # only the later part of the full length, if the runs have come so far


def family_curves(runs: Sequence[Run]) -> Figure:
    """Training and test error (percent), in a panel for each family: without and with shortcuts.

    Raises:
        ValueError: if the runs are not all of one setting.
    """
    return error_figure(runs, [Panel(family, own) for family, own in by_family(runs).items()])


def by_family(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each family of networks, plain ones and ResNets first, whether there are any or not."""
    found: dict[str, list[Run]] = {"plain": [], "ResNet": []}
    for own in by_network(runs).values():
        found.setdefault(own[0].family, []).extend(own)
    return found


def error_figure(runs: Sequence[Run], panels: Sequence[Panel]) -> Figure:
    """Panels of error curves below the setting's title; those without curves are left out.

    Raises:
        ValueError: if the runs are not all of one setting.
    """
    from matplotlib.figure import Figure

    found = groups(runs)
    if len(found) > 1:
        titles = " | ".join(setting.title for setting, _ in found)
        raise ValueError(f"runs of {len(found)} settings cannot share a figure: {titles}")
    shades = colours(runs)
    drawn = [(panel, {kind: error_curves(panel.runs, kind, shades) for kind in panel.kinds}) for panel in panels]
    drawn = [(panel, curves) for panel, curves in drawn if any(curves.values())]
    everything = [curve for _, curves in drawn for own in curves.values() for curve in own]
    count = max(1, len(drawn))
    longest = max((len(curve.name.partition(",")[0]) for curve in everything), default=0)
    more = max(0.0, 0.074 * longest - 0.85)  # inches, for names that the usual room does not hold
    width, height = 0.4 + (2.9 + more) * count, 2.8  # inches
    figure = Figure(figsize=(width, height))
    if not drawn:
        figure.text(0.5, 0.5, "nothing has been measured yet", ha="center", fontsize=TEXT_SIZE)
        return figure
    setting = found[0][0]
    title = textwrap.wrap(
        f"{setting.title}; {_seeds([run for panel, _ in drawn for run in panel.runs])}", int(14 * width)
    )
    figure.suptitle("\n".join(title), fontsize=TEXT_SIZE + 0.5, y=0.985)
    top = 0.32 + 0.15 * len(title)  # inches
    # Fixed, since the names at the curves' ends need room that no automatic layout leaves.
    panel_width = (2.9 * count - 0.9) / (1.6 * count - 0.6)
    wspace = 0.6 + more / panel_width
    figure.subplots_adjust(0.45 / width, 0.58 / height, 1 - (0.85 + more) / width, 1 - top / height, wspace=wspace)
    highest = max(float(curve.high.max()) for curve in everything)
    hidden: dict[str, None] = {}
    for axes, (panel, curves) in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True):
        hidden |= dict.fromkeys(_draw_panel(axes, panel, curves, setting, highest))
    caption = _kinds_of_error([run for panel, _ in drawn for run in panel.runs])
    if any((curve.high > curve.low).any() for curve in everything):
        caption += "; lines: mean of the seeds, bands: lowest to highest"
    if hidden:
        caption += f"; ends above {FRAMES[setting.papers].errors[-1] if setting.full else 100} %: {', '.join(hidden)}"
    lines = textwrap.wrap(caption, int(19 * width))
    figure.subplots_adjust(bottom=(0.46 + 0.12 * len(lines)) / height)
    figure.text(0.5, 0.02, "\n".join(lines), ha="center", fontsize=TEXT_SIZE - 1, color="#444444")
    return figure


def _draw_panel(axes: Axes, panel: Panel, curves: Curves, setting: Setting, highest: float) -> list[str]:
    """Draws the curves up to the highest error (percent) with their names; those whose ends are out of sight."""
    for kind, own in curves.items():
        draw(axes, own, kind)
    late = panel.late and all(curve.iterations[-1] > LATE for own in curves.values() for curve in own)
    scale(axes, setting, highest, late)
    axes.set_title(panel.title, fontsize=TEXT_SIZE + 0.5)
    axes.set_ylabel(f"{panel.measure} (%)", fontsize=TEXT_SIZE, labelpad=1)
    # A run that has just begun has no test error yet.
    tested = {curve.name for curve in curves.get("test", [])}
    return name_ends(
        axes, [curve for kind, own in curves.items() for curve in own if kind == "test" or curve.name not in tested]
    )


def _kinds_of_error(runs: Sequence[Run]) -> str:
    on = {run.evaluated_on for run in runs if run.last("test/error") is not None}
    return (
        f"dashed: training error; bold: {'validation error of centre crops' if on == {'validation'} else 'test error'}"
    )


def _seeds(runs: Sequence[Run]) -> str:
    """Seed 0; seeds 0, 1, 2; or how many, where the networks differ."""
    each = {tuple(sorted({run.seed for run in own})) for own in by_network(runs).values()}
    fewest, most = min(map(len, each)), max(map(len, each))
    if len(each) == 1:
        return f"seed{'s' if most > 1 else ''} {', '.join(map(str, *each))}"
    return f"{fewest} to {most} seeds" if fewest < most else f"{most} seed{'s' if most > 1 else ''} each"


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes name.png (200 dots per inch) and name.svg into the folder, which is made, and returns the two paths.

    Raises:
        OSError: if the folder cannot be written to.
    """
    from matplotlib import rc_context

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    with rc_context({"svg.hashsalt": name}):  # the same runs give the same bytes
        for path in paths:
            form = path.suffix[1:]
            metadata = {"Date": None} if form == "svg" else None
            write_atomically(path, partial(figure.savefig, format=form, dpi=200, metadata=metadata))
    return paths
