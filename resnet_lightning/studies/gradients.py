"""Gradient flow: norms of every layer's gradient, over layers and iterations, and what they say of section 4.1."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resnet_lightning.reporting.cells import NOTHING
from resnet_lightning.reporting.colours import colours
from resnet_lightning.reporting.curves import TEXT_SIZE, quiet
from resnet_lightning.reporting.layerwise import Rows as Layers
from resnet_lightning.reporting.layerwise import mean_rows
from resnet_lightning.reporting.setting_tables import Networks, Rows, table_per_setting
from resnet_lightning.reporting.settings import Setting, by_network, groups
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.folder import GRADIENTS
from resnet_lightning.runs.reading import Run
from resnet_lightning.studies import Drawing, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

WITHOUT = " without BN"  # at the end of a network's name
FAMILIES = ("plain", "ResNet", "plain without BN", "ResNet without BN")
VANISHED, EXPLODED = 0.01, 100.0  # times the last layer's gradient
LOWEST, HIGHEST = 1e-5, 1e4  # of the colours


def tables(runs: Sequence[Run]) -> list[Table]:
    """Gradient norms of the first and the last layer, at initialisation and last: one table per setting."""
    return table_per_setting("Gradient flow", runs, _rows)


def _rows(_: Setting, networks: Networks) -> tuple[Rows, list[str]]:
    measured = {name: found for name, own in networks.items() if (found := mean_rows(own, GRADIENTS))}
    rows = [_row(name, networks[name], found) for name, found in measured.items()]
    initial = {name: _quotient(found[0]) for name, found in measured.items() if 0 in found}
    last = {name: _quotient(found[max(found)]) for name, found in measured.items() if max(found) > 0}
    return rows, [
        *verdict(initial, last),
        "Euclidean norm of the gradient of one batch's mean loss by the weights of a convolution, without weight "
        "decay; first and last convolution, at initialisation (iteration 0) and at the last iteration measured. "
        "A weight before batch normalisation can grow without effect, and its gradient shrinks as it does: a small "
        f"ratio in a trained network is also one of weights that have grown. Vanished is below {VANISHED:g} of the "
        f"last layer's, exploded above {EXPLODED:g} times it.",
    ]


def _row(name: str, own: Sequence[Run], found: Layers) -> dict[str, str]:
    first, last = found[min(found)], found[max(found)]
    quotients = {iteration: _quotient(values) for iteration, values in found.items()}
    later = max(found) > 0
    return {
        "Network": name,
        "Layers": str(len(first)),
        "First layer at 0": _number(first[0]) if 0 in found else NOTHING,
        "Last layer at 0": _number(first[-1]) if 0 in found else NOTHING,
        "First / last at 0": _number(quotients[0]) if 0 in found else NOTHING,
        "Later": f"{max(found):,}" if later else NOTHING,
        "First layer later": _number(last[0]) if later else NOTHING,
        "Last layer later": _number(last[-1]) if later else NOTHING,
        "First / last later": _number(quotients[max(found)]) if later else NOTHING,
        "Largest first / last": _number(max(filter(np.isfinite, quotients.values()), default=np.nan)),
        "Ended": " or ".join(sorted({_ending(run) for run in own})),
    }


def verdict(initial: dict[str, float], later: dict[str, float]) -> list[str]:
    """What the ratios of first to last layer are, and what follows for degradation in plain networks.

    Args:
        initial: at initialisation, by network, such as plain-20 and "ResNet-110 without BN".
        later: at the last iteration measured.
    """
    before, after = _by_depth(initial), _by_depth(later)
    if not before:
        return []
    numbers = f"Gradient of the first layer over that of the last, at initialisation: {_list(before)}"
    numbers += f"; at the last iteration measured: {_list(after)}." if after else "."
    plain, residual = before.get("plain", {}), before.get("ResNet", {})
    if not plain:
        return [numbers]
    lowest = {depth: min(ratio, after.get("plain", {}).get(depth, ratio)) for depth, ratio in plain.items()}
    vanished = sorted(depth for depth, ratio in lowest.items() if ratio < VANISHED)
    kept = sorted(lowest.keys() - vanished)
    if not vanished:
        said = (
            "With batch normalisation no gradient of a plain network vanishes on its way to the first layer, so that "
            "vanishing gradients are not what degrades deep plain networks, as the paper argues"
        )
    else:
        said = (
            f"In spite of batch normalisation the gradient of {_names(vanished)} vanishes on its way to the first "
            "layer, so that the paper's argument, that degradation is something else, is not borne out there"
            + (f"; {_names(kept)} keep{'s' if len(kept) == 1 else ''} it, and there it is" if kept else "")
        )
    deepest = max(plain)
    if plain[deepest] > EXPLODED:
        said += f"; at initialisation that of plain-{deepest} explodes instead"
        if deepest in residual and residual[deepest] < plain[deepest] / 10:
            said += f", and shortcuts bring {_number(plain[deepest])} down to {_number(residual[deepest])}"
    return [f"{numbers} {said}."]


def _by_depth(ratios: dict[str, float]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for name, ratio in ratios.items():
        family, _, rest = name.removesuffix(WITHOUT).partition("-")
        if rest.isdecimal() and math.isfinite(ratio):
            found.setdefault(family + WITHOUT * name.endswith(WITHOUT), {})[int(rest)] = ratio
    return {family: dict(sorted(found[family].items())) for family in FAMILIES if family in found}


def _list(ratios: dict[str, dict[int, float]]) -> str:
    return "; ".join(
        f"{family} {', '.join(f'{_number(ratio)} ({depth} layers)' for depth, ratio in own.items())}"
        for family, own in ratios.items()
    )


def _names(depths: Sequence[int]) -> str:
    return " and ".join(f"plain-{depth}" for depth in depths)


def draw_lines(runs: Sequence[Run]) -> Figure | None:
    """The norm of each layer at initialisation and at the last iteration measured, one panel per family."""
    from matplotlib.figure import Figure

    families, shades = _by_family(runs), colours(runs)
    if not families:
        return None
    columns = min(2, len(families))
    lines = -(-len(families) // columns)
    figure = Figure(figsize=(3.3 * columns, 0.4 + 2.3 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
    for axes, (family, networks) in zip(panels, families.items(), strict=False):
        for depth, (name, rows) in networks.items():
            for iteration, style, width in ((min(rows), "-", 1.4), (max(rows), ":", 1.1)):
                values = _finite(rows[iteration])
                place = np.linspace(0, 1, len(values))
                label = f"{depth} layers" if style == "-" else None
                axes.plot(place, values, style, color=shades[name], linewidth=width, label=label)
        axes.set_yscale("log")
        quiet(axes)
        axes.tick_params(which="minor", labelsize=TEXT_SIZE - 1)  # of a range of less than ten
        axes.set_title(family, fontsize=TEXT_SIZE + 0.5)
        axes.set_xlabel("first to last layer, in fractions of the depth", fontsize=TEXT_SIZE, labelpad=1)
        axes.set_ylabel("gradient norm", fontsize=TEXT_SIZE, labelpad=1)
    panels[0].legend(fontsize=TEXT_SIZE - 1, frameon=False)
    for axes in panels[len(families) :]:
        axes.set_visible(False)
    _title(figure, groups(runs)[0][0], "solid: at initialisation; dotted: at the last iteration measured", columns)
    return figure


def draw_networks(runs: Sequence[Run]) -> Figure | None:
    """The norm of each layer at initialisation and at the last iteration measured, a line for each network."""
    from matplotlib.figure import Figure

    shades = colours(runs)
    found = {name: rows for name, own in by_network(runs).items() if (rows := mean_rows(own, GRADIENTS))}
    if not found:
        return None
    figure = Figure(figsize=(6.6, 2.9), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, title, when in zip(
        panels, ("at initialisation", "at the last iteration measured"), (min, max), strict=True
    ):
        for name, rows in found.items():
            values = _finite(rows[when(rows)])
            axes.plot(np.linspace(0, 1, len(values)), values, color=shades[name], linewidth=1.4, label=name)
        axes.set_yscale("log")
        quiet(axes)
        axes.set_title(title, fontsize=TEXT_SIZE + 0.5)
        axes.set_xlabel("first to last convolution, in fractions", fontsize=TEXT_SIZE, labelpad=1)
    panels[0].set_ylabel("gradient norm", fontsize=TEXT_SIZE, labelpad=1)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=TEXT_SIZE, frameon=False
    )
    _title(figure, groups(runs)[0][0], "", 2)
    return figure


def draw_heat(runs: Sequence[Run]) -> Figure | None:
    """The norm of each layer (upwards from the first) by iteration, in colour: one panel per network."""
    from matplotlib.figure import Figure

    families = _by_family(runs)
    if not families:
        return None
    depths = sorted({depth for networks in families.values() for depth in networks})
    size = (0.9 + 2.0 * len(depths), 0.6 + 1.5 * len(families))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(families), len(depths), squeeze=False)
    for line, (family, networks) in zip(panels, families.items(), strict=True):
        for axes, depth in zip(line, depths, strict=True):
            axes.set_visible(depth in networks)
            if depth in networks:
                mesh = _heat(axes, networks[depth][1])
                axes.set_title(f"{family}, {depth} layers", fontsize=TEXT_SIZE - 0.5)
        line[0].set_ylabel("layer", fontsize=TEXT_SIZE, labelpad=1)
    for axes in panels[-1]:
        axes.set_xlabel("iterations", fontsize=TEXT_SIZE, labelpad=1)
    bar = figure.colorbar(mesh, ax=panels, extend="both", aspect=40, pad=0.01)
    bar.set_label("gradient norm", fontsize=TEXT_SIZE)
    bar.ax.tick_params(labelsize=TEXT_SIZE - 1)
    _title(figure, groups(runs)[0][0], "", 2)
    return figure


def _heat(axes: Axes, rows: Layers) -> QuadMesh:
    from matplotlib.colors import LogNorm

    values = np.array([np.clip(_finite(rows[iteration]), LOWEST, HIGHEST) for iteration in rows]).T
    x, y = list(rows), np.arange(1, len(values) + 1)
    if len(x) == 1:  # diverged at once; a single column has no width
        x, values = [x[0], x[0] + 1], values.repeat(2, axis=1)
    mesh = axes.pcolormesh(x, y, values, norm=LogNorm(LOWEST, HIGHEST), cmap="viridis", shading="nearest")
    mesh.set_rasterized(True)  # ten thousands of cells are no vectors
    axes.set_xlim(left=0)
    axes.tick_params(labelsize=TEXT_SIZE - 1, length=2, width=0.6)
    return mesh


def _by_family(runs: Sequence[Run]) -> dict[str, dict[int, tuple[str, Layers]]]:
    """The name and the norms of each network, by family, with and without batch normalisation, and by depth."""
    found: dict[str, dict[int, tuple[str, Layers]]] = {}
    for name, own in by_network(runs).items():
        if rows := mean_rows(own, GRADIENTS):
            family = own[0].family + WITHOUT * name.endswith(WITHOUT)
            found.setdefault(family, {})[own[0].depth] = name, rows
    return dict(sorted(found.items(), key=lambda item: FAMILIES.index(item[0]) if item[0] in FAMILIES else 9))


def _title(figure: Figure, setting: Setting, caption: str, columns: int) -> None:
    lines = textwrap.wrap(setting.title, 46 * columns) + textwrap.wrap(caption, 46 * columns)
    figure.suptitle("\n".join(lines), fontsize=TEXT_SIZE + 0.5)


def _quotient(values: NDArray[np.float64]) -> float:
    """The first layer's norm over the last one's; no number if that is zero or none."""
    return float(values[0] / values[-1]) if values[-1] and np.isfinite(values[-1]) else np.nan


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zeros and infinities have no place on a logarithmic axis."""
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def _number(value: float) -> str:
    """Three digits.

    >>> [_number(value) for value in (0.2, 965.4, 2.84e6, 1e-5)]
    ['0.2', '965', '2.84e+06', '1e-05']
    """
    return f"{value:.3g}"


def _ending(run: Run) -> str:
    return run.state if run.state == "finished" else f"{run.state} at {run.iteration:,}"


STUDY = Study(
    title="Gradient flow with and without shortcuts and batch normalisation",
    section="4.1",
    experiments=tuple(
        f"gradients/{family}{depth}{norm}"
        for depth in (110, 56, 20)
        for norm in ("", "_without_bn")
        for family in ("plain", "resnet")
    ),
    evaluations=(),
    command="",
    tables=tables,
    figures={
        "": Drawing(draw_lines, "Gradient norms by layer, at initialisation and last"),
        "-heat": Drawing(draw_heat, "Gradient norms by layer and iteration, in colour"),
    },
)
