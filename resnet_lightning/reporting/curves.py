"""Error curves in the paper's manner: training thin and dashed, test bold, names at the ends."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from resnet_lightning.reporting.cells import Kind
from resnet_lightning.reporting.settings import Setting, by_network
from resnet_lightning.runs.reading import Run

if TYPE_CHECKING:  # matplotlib is imported when something is drawn
    from matplotlib.axes import Axes

LABEL_SIZE, TEXT_SIZE = 7.5, 8.0  # points
LATE = 35_000  # iterations, where the panel of the deepest ResNets begins


class Frame(NamedTuple):
    """The axes of the paper's figures: marks on the error axis (percent), whose ends they are, and iterations apart."""

    errors: tuple[int, ...]
    iterations: float


FRAMES = {"CIFAR-10": Frame((0, 5, 10, 20), 1e4), "ImageNet": Frame((20, 30, 40, 50, 60), 1e5)}


@dataclass(frozen=True)
class Curve:
    """The mean over seeds (percent) and its band, by iteration."""

    name: str
    colour: str
    iterations: NDArray[np.int64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def end(self) -> float:
        """The last error, percent."""
        return float(self.mean[-1])


def error_curves(runs: Sequence[Run], kind: Kind, shades: Mapping[str, str]) -> list[Curve]:
    """One curve per network, in its shade, over its finished runs; without any, one per run as far as it goes.

    Iterations that not all finished runs have measured are left out: a mean over changing runs would jump.
    """
    found = []
    for name, own in by_network(runs).items():
        finished = [run for run in own if run.state == "finished"]
        for members in [finished] if finished else [[run] for run in own]:
            curves = [dict(zip(*run.curve(f"{kind}/error"), strict=True)) for run in members]
            common = sorted(set.intersection(*map(set, curves)))
            if common:
                values = np.array([[curve[iteration] for iteration in common] for curve in curves])
                label = name if finished else f"{name}, {members[0].state}"
                bounds = values.mean(0), values.min(0), values.max(0)
                found.append(Curve(label, shades[name], np.array(common), *bounds))
    return found


def draw(axes: Axes, curves: Sequence[Curve], kind: Kind) -> None:
    """Draws the curves, without names."""
    style, width = ("--", 0.7) if kind == "train" else ("-", 1.6)
    for curve in curves:
        axes.plot(curve.iterations, curve.mean, style, color=curve.colour, linewidth=width)
        if (curve.high > curve.low).any():
            axes.fill_between(curve.iterations, curve.low, curve.high, color=curve.colour, alpha=0.2, lw=0)


def name_ends(axes: Axes, curves: Sequence[Curve]) -> list[str]:
    """Writes each curve's name to the right of its end, none over another; returns the names of ends out of sight."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    furthest = {curve.name: curve for curve in sorted(curves, key=lambda curve: int(curve.iterations[-1]))}
    shown = sorted((curve for curve in furthest.values() if curve.end <= top), key=lambda curve: curve.end)
    height = axes.get_window_extent().height * 72 / axes.figure.dpi  # points
    gap = 1.15 * LABEL_SIZE / height * (top - bottom)
    for curve, place in zip(shown, spread([curve.end for curve in shown], gap, bottom, top), strict=True):
        last = float(curve.iterations[-1])
        axes.annotate(
            short(curve.name),
            (last, curve.end),
            (last + 0.06 * (right - left), place),
            color=curve.colour,
            fontsize=LABEL_SIZE,
            verticalalignment="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": curve.colour, "linewidth": 0.5, "shrinkA": 3, "shrinkB": 1},
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
        )
    return [name for name, curve in furthest.items() if curve.end > top]


def short(name: str) -> str:
    """A network's name as it stands beside its curve; the table says how wide it is.

    >>> short("NiN, a quarter as wide, unfinished")
    'NiN, unfinished'
    """
    return re.sub(r", an? \w+ as wide|, half as wide", "", name)


def spread(places: Sequence[float], gap: float, bottom: float, top: float) -> list[float]:
    """Rising places, moved as little as needed to lie a gap apart and between bottom and top.

    >>> spread([1.0, 1.5, 5.0], 1.0, 0.0, 10.0)
    [0.75, 1.75, 5.0]
    """
    from scipy.optimize import isotonic_regression  # its import takes longer than a report without figures

    if not places:
        return []
    apart = gap * np.arange(len(places))
    lowest = isotonic_regression(places - apart).x  # of what is left once each has its gaps below it taken away
    moved: list[float] = (np.clip(lowest, bottom, max(bottom, top - apart[-1])) + apart).tolist()
    return moved


def scale(axes: Axes, setting: Setting, highest: float, late: bool) -> None:
    """The paper's axes for its full length of training; otherwise from 0 to what there is."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

    if setting.full:
        frame = FRAMES[setting.papers]
        axes.set_ylim(frame.errors[0], frame.errors[-1])
        axes.set_yticks(sorted({*frame.errors, 1}) if late else frame.errors)
        axes.xaxis.set_major_locator(MultipleLocator(frame.iterations))
        axes.set_xlim(LATE if late else 0, setting.iterations)
    else:
        axes.set_ylim(0, min(100.0, 1.05 * max(highest, 1.0)))
        axes.set_xlim(0, setting.iterations)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    if setting.iterations >= 10_000:
        axes.xaxis.set_major_formatter(FuncFormatter(_ten_thousands))
        axes.set_xlabel("iter. (1e4)", fontsize=TEXT_SIZE, labelpad=1)
    else:
        axes.set_xlabel("iterations", fontsize=TEXT_SIZE, labelpad=1)
    quiet(axes)


def quiet(axes: Axes) -> None:
    """What all figures share: light rules, small marks, no box."""
    axes.grid(axis="y", color="#BBBBBB", linewidth=0.5, linestyle=":")
    axes.tick_params(labelsize=TEXT_SIZE - 0.5, length=2.5, width=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _ten_thousands(iteration: float, _: int | None) -> str:
    return f"{iteration / 1e4:g}"
