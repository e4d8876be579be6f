"""What the blocks have learned: the error without each, or with two swapped, and how much it adds (section 4.2)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from statistics import mean, median
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_lightning.reporting.cells import NOTHING
from resnet_lightning.reporting.colours import colours
from resnet_lightning.reporting.curves import TEXT_SIZE, quiet
from resnet_lightning.reporting.figures import by_family
from resnet_lightning.reporting.setting_tables import Networks, Rows, table_per_setting
from resnet_lightning.reporting.settings import Setting, by_network, groups
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.folder import LESIONS
from resnet_lightning.runs.reading import Run, read_json_or_nothing, skip
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.experiments import TWENTY_AND_FIFTY_SIX

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SURVIVED = 5.0  # points of test error that a deletion may cost


def tables(runs: Sequence[Run]) -> list[Table]:
    """Test errors (percent) after lesions, over the blocks of each network: one table per setting."""
    return table_per_setting("Lesions", runs, _rows)


def _rows(_: Setting, networks: Networks) -> tuple[Rows, list[str]]:
    each = {name: [contents for run in own if (contents := _read(run))] for name, own in networks.items()}
    return [_row(name, found) for name, found in each.items() if found], [
        size_sentence(networks),
        "Deleted: F is left out, and the shortcut stays; in a plain network what option A would be stands in its "
        "place. Swapped with the next block of the same shape. Nothing is trained afterwards.",
        "F(x) / x: root mean squares over the test set of what a block adds, before the ReLU, and of what it is "
        "added to; in a plain network of what it makes of x.",
    ]


def _row(name: str, found: Sequence[dict[str, Any]]) -> dict[str, str]:
    deleted, swapped, sizes = (_values(found, kind) for kind in ("deleted", "swapped", "size"))
    intact = mean(contents["error"] for contents in found)
    survived = sum(error < intact + SURVIVED for error in deleted)
    return {
        "Network": name,
        "Blocks": str(len(found[0]["blocks"])),
        "Test error %": f"{intact:.2f}",
        "Block deleted: median %": f"{median(deleted):.2f}",
        "worst %": f"{max(deleted):.2f}",
        f"within {SURVIVED:g} points": f"{survived} of {len(deleted)}",
        "Neighbours swapped: median %": f"{median(swapped):.2f}" if swapped else NOTHING,
        "Swapped: worst %": f"{max(swapped):.2f}" if swapped else NOTHING,
        "F(x) / x: median": f"{median(sizes):.2f}",
        "F(x) / x: last block": f"{sizes[-1]:.2f}",
        "Seeds": str(len(found)),
    }


def size_sentence(networks: Networks) -> str:
    """Whether deeper ResNets modify the signal less, as section 4.2 concludes from figure 7."""
    sizes = {}
    for own in networks.values():
        if own[0].family == "ResNet" and (found := [contents for run in own if (contents := _read(run))]):
            sizes[own[0].depth] = median(_values(found, "size"))
    if len(sizes) < 2:
        return ""
    ordered = sorted(sizes.items())
    falls = all(one[1] > other[1] for one, other in pairwise(ordered))
    numbers = ", ".join(f"{size:.2f} at {depth} layers" for depth, size in ordered)
    verdict = "less" if falls else "not less"
    return f"Blocks of deeper ResNets modify the signal {verdict}: F(x) / x is {numbers} (medians)."


def draw(runs: Sequence[Run]) -> Figure | None:
    """Test error by deleted or swapped block (above) and F(x) / x by block (below), in a column for each family."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    families = {name: own for name, own in by_family(runs).items() if any(map(_read, own))}
    if not families:
        return None
    shades = colours(runs)
    figure = Figure(figsize=(0.4 + 3.3 * len(families), 5.0), layout="constrained")
    panels = figure.subplots(2, len(families), squeeze=False, sharey="row", height_ratios=(3, 2))
    for (above, below), (family, members) in zip(panels.T, families.items(), strict=True):
        for name, own in by_network(members).items():
            found = [contents for run in own if (contents := _read(run))]
            if not found:
                continue
            shade, numbers = shades[name], np.arange(1, len(found[0]["blocks"]) + 1)
            intact = mean(contents["error"] for contents in found)
            above.axhline(intact, color=shade, linewidth=0.8, linestyle=":")
            above.plot(numbers, _values(found, "deleted"), "o", color=shade, ms=3.2, label=f"{name}, deleted")
            after = [n for n, block in zip(numbers, found[0]["blocks"].values(), strict=True) if "swapped" in block]
            # Between the two that are swapped.
            places = np.array(after) + 0.5
            label = f"{name}, swapped" if after else None
            above.plot(places, _values(found, "swapped"), "x", color=shade, ms=3.5, mew=0.9, label=label)
            below.plot(numbers, _values(found, "size"), "-", color=shade, linewidth=1.1, label=name)
        above.set_title(family, fontsize=TEXT_SIZE + 0.5)
        for axes in (above, below):
            quiet(axes)
            axes.set_xlabel("block", fontsize=TEXT_SIZE, labelpad=1)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend(fontsize=TEXT_SIZE - 1.5, frameon=False)
    for axes, label, highest in zip(panels[:, 0], ("test error (%)", "F(x) / x"), (100, None), strict=True):
        axes.set_ylabel(label, fontsize=TEXT_SIZE, labelpad=1)
        axes.set_ylim(0, highest)  # of the whole row, once everything is in it
    title = f"{groups(runs)[0][0].title}; dotted: the network as it is"
    figure.suptitle("\n".join(textwrap.wrap(title, 48 * len(families))), fontsize=TEXT_SIZE + 0.5)
    return figure


def _read(run: Run) -> dict[str, Any]:
    contents = read_json_or_nothing(run.folder / LESIONS)
    if not contents.get("complete"):
        return {}
    try:
        numbers = [contents["error"], *(value for block in contents["blocks"].values() for value in block.values())]
        whole = bool(contents["blocks"]) and all(isinstance(number, int | float) for number in numbers)
    except (KeyError, AttributeError):
        whole = False
    if not whole:
        skip(f"{run.folder / LESIONS} is damaged (no errors by block)")
    return contents if whole else {}


def _values(found: Sequence[dict[str, Any]], kind: str) -> list[float]:
    """The mean over seeds for each block that has such a value, in order."""
    names = [name for name, block in found[0]["blocks"].items() if kind in block]
    return [mean(contents["blocks"][name][kind] for contents in found) for name in names]


STUDY = Study(
    title="What the blocks have learned: their size, and the error without them",
    section="4.2",
    experiments=TWENTY_AND_FIFTY_SIX,
    evaluations=("center",),
    command="lesions",
    tables=tables,
    figures={"": Drawing(draw, "Test errors after lesions, and sizes of F(x) beside x, by block")},
)
