"""The lecture's pictures: accuracy by network, accuracy against a cost, and times and power by batch size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from resnet_lightning.benchmarks.complexity.labels import RULE, figure_of, label_points, name_lines
from resnet_lightning.benchmarks.complexity.results import Result, front
from resnet_lightning.reporting.colours import OTHER_FAMILIES
from resnet_lightning.reporting.curves import LABEL_SIZE, TEXT_SIZE, quiet

if TYPE_CHECKING:  # matplotlib is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 7.0  # inches, that of a printed page's text
LARGEST, AREA = 1.5e8, 900.0  # so many parameters have this area (square points)


def colours(results: Sequence[Result]) -> dict[str, str]:
    """One for each family of networks: what stands before the depth in their names."""
    families = dict.fromkeys(family(result) for result in results)
    shades = ("#0072B2", "#D55E00", "#000000", *OTHER_FAMILIES)
    own = {name: shades[number % len(shades)] for number, name in enumerate(families)}
    return {result.name: own[family(result)] for result in results}


def family(result: Result) -> str:
    return result.name.partition("-")[0].partition(" ")[0]


def accuracy_by_network(results: Sequence[Result]) -> Figure | None:
    """Bars, the most accurate one on top; marks are the published accuracy."""
    known = sorted((r for r in results if r.accuracy is not None), key=lambda result: result.accuracy or 0)
    if not known:
        return None
    axes = new_axes(0.9 + 0.19 * len(known))
    shades = colours(results)
    bars = axes.barh([result.name for result in known], [result.accuracy or 0 for result in known], height=0.7)
    for place, (bar, result) in enumerate(zip(bars, known, strict=True)):
        bar.set_color(shades[result.name])
        end = max(result.accuracy or 0, 100 - (result.published or 100))
        axes.text(end + 0.15, place, f" {result.accuracy:.1f}", va="center", fontsize=LABEL_SIZE)
    published = [(100 - result.published, place) for place, result in enumerate(known) if result.published is not None]
    if published:
        values, places = zip(*published, strict=True)
        axes.plot(values, places, "D", color="white", markersize=3.5, markeredgecolor="black", markeredgewidth=0.7)
    lowest = min(result.accuracy or 0 for result in known)
    axes.set_xlim(max(0.0, 5 * (lowest // 5) - 5), None)
    axes.set_ylim(-0.6, len(known) - 0.4)
    axes.set_xlabel("top-1 accuracy of one centre crop (%); white mark: published", fontsize=TEXT_SIZE)
    quiet(axes)
    axes.grid(visible=False, axis="y")
    return figure_of(axes)


def accuracy_against(
    results: Sequence[Result], cost: Callable[[Result], float], words: str, areas: bool = False
) -> Figure | None:
    """A point for each network; those on the Pareto front are joined.

    Args:
        areas: whether a point's area is the number of parameters.
    """
    known = [result for result in results if result.accuracy is not None]
    if not known:
        return None
    axes, shades = new_axes(5.2), colours(results)
    places = [cost(result) for result in known]
    heights = [float(result.accuracy or 0) for result in known]
    sizes = [AREA * r.counts["parameters"] / LARGEST if areas else 18.0 for r in known]
    axes.scatter(places, heights, sizes, [shades[result.name] for result in known], alpha=0.45, linewidth=0)
    best = front(known, cost)
    corners = [(cost(result), result.accuracy or 0) for result in best]
    axes.plot(*zip(*corners, strict=True), "--", color=RULE, linewidth=0.9, zorder=0, label="Pareto front")
    axes.set_xscale("log")
    axes.margins(x=0.12, y=0.1)
    axes.set_xlabel(words, fontsize=TEXT_SIZE)
    axes.set_ylabel("top-1 accuracy (%)", fontsize=TEXT_SIZE)
    if areas:
        for parameters in (5e6, 5e7):
            label = f"{parameters / 1e6:.0f} million parameters"
            axes.scatter([], [], AREA * parameters / LARGEST, RULE, alpha=0.45, linewidth=0, label=label)
    axes.legend(fontsize=LABEL_SIZE, frameon=False, loc="lower right", labelspacing=1.2)
    plain_numbers(axes)
    quiet(axes)
    label_points(axes, known, places, heights, shades)
    return figure_of(axes)


def by_batch(results: Sequence[Result], value: Callable[[Result, int], float], words: str) -> Figure:
    """A line for each network, with its name on the right."""
    axes, shades = new_axes(max(2.5, 1.2 + 0.165 * len(results)), None), colours(results)
    figure_of(axes).subplots_adjust(0.09, 0.1, 0.76, 0.98)
    styles = ("-", "--", ":", "-.")
    seen: dict[str, int] = {}
    ends = []
    for result in results:
        values = [value(result, batch) for batch in result.batches]
        number = seen[family(result)] = seen.get(family(result), -1) + 1
        style = styles[number % len(styles)]
        axes.plot(result.batches, values, style, marker=".", markersize=4, color=shades[result.name], linewidth=1.1)
        ends.append((values[-1], result.batches[-1], result.name))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    batches = sorted({batch for result in results for batch in result.batches})
    axes.set_xticks(batches, [f"{batch}" for batch in batches])
    axes.set_xlabel("batch size", fontsize=TEXT_SIZE)
    axes.set_ylabel(words, fontsize=TEXT_SIZE)
    plain_numbers(axes, x=False)
    quiet(axes)
    name_lines(axes, sorted(ends), shades)
    return figure_of(axes)


def density(results: Sequence[Result]) -> Figure | None:
    """Accuracy per operation, and per parameter."""
    from matplotlib.figure import Figure

    known = [result for result in results if result.accuracy is not None]
    if not known:
        return None
    figure = Figure(figsize=(WIDTH, 0.9 + 0.18 * len(known)), layout="constrained")
    shades = colours(results)
    for axes, unit, words in zip(
        figure.subplots(1, 2), ("macs", "parameters"), ("% per 1e9 multiply-adds", "% per 1e6 parameters"), strict=True
    ):
        scale = 1e9 if unit == "macs" else 1e6
        shares = sorted((float(r.accuracy or 0) / (r.counts[unit] / scale), r.name) for r in known)
        names = [name for _, name in shares]
        axes.barh(names, [share for share, _ in shares], 0.7, color=[shades[name] for name in names])
        for place, (share, _) in enumerate(shares):
            axes.text(share, place, f" {share:.3g}", va="center", fontsize=LABEL_SIZE - 0.5)
        axes.set_ylim(-0.6, len(known) - 0.4)
        axes.margins(x=0.14)
        axes.set_xlabel(words, fontsize=TEXT_SIZE)
        quiet(axes)
        axes.grid(visible=False, axis="y")
    return figure


def new_axes(height: float, layout: Literal["constrained"] | None = "constrained") -> Axes:
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout=layout).subplots()


def plain_numbers(axes: Axes, x: bool = True) -> None:
    """20 and not 2×10¹."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis = axes.xaxis if x else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
