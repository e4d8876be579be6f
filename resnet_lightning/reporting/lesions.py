"""The lesion study: test errors without single blocks or with two swapped, and how much a block adds to its input."""

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from statistics import mean, median
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from resnet_lightning.reporting.cells import setting_table
from resnet_lightning.reporting.curves import TEXT_SIZE, colour, quiet
from resnet_lightning.reporting.groups import NOTHING, by_network, groups
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.folder import LESIONS
from resnet_lightning.runs.reading import Run, read_json_or_nothing, skip

SURVIVED = 5.0  # points of test error that a deletion may cost


def lesion_table(runs: Sequence[Run]) -> list[Table]:
    """Test errors (percent) after lesions, over the blocks of each network: one table per setting."""
    tables = []
    for setting, group in groups(runs):
        rows = []
        for name, own in by_network(group).items():
            found = [contents for run in own if (contents := _read(run))]
            if not found:
                continue
            deleted, swapped, sizes = (_values(found, kind) for kind in ("deleted", "swapped", "size"))
            intact = mean(contents["error"] for contents in found)
            survived = sum(error < intact + SURVIVED for error in deleted)
            rows.append(
                {
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
            )
        notes = [
            size_sentence(group),
            "Deleted: F is left out, and the shortcut stays; in a plain network what option A would be stands in its "
            "place. Swapped with the next block of the same shape. Nothing is trained afterwards.",
            "F(x) / x: root mean squares over the test set of what a block adds, before the ReLU, and of what it is "
            "added to; in a plain network of what it makes of x.",
        ]
        if rows:
            tables.append(setting_table("Lesions", setting, group, rows, notes))
    return tables


def size_sentence(runs: Sequence[Run]) -> str:
    """Whether deeper ResNets modify the signal less, as section 4.2 concludes from figure 7."""
    sizes = {}
    for own in by_network([run for run in runs if run.shortcut != "none"]).values():
        if found := [contents for run in own if (contents := _read(run))]:
            sizes[own[0].depth] = median(_values(found, "size"))
    if len(sizes) < 2:
        return ""
    ordered = sorted(sizes.items())
    falls = all(one[1] > other[1] for one, other in pairwise(ordered))
    numbers = ", ".join(f"{size:.2f} at {depth} layers" for depth, size in ordered)
    verdict = "less" if falls else "not less"
    return f"Blocks of deeper ResNets modify the signal {verdict}: F(x) / x is {numbers} (medians)."


def lesion_figure(runs: Sequence[Run]) -> Figure:
    """Test error by deleted or swapped block (above) and F(x) / x by block (below), of plain networks and ResNets."""
    families = {"plain": [run for run in runs if run.shortcut == "none"]}
    families["ResNet"] = [run for run in runs if run.shortcut != "none"]
    families = {name: own for name, own in families.items() if any(map(_read, own))}
    figure = Figure(figsize=(0.4 + 3.3 * max(1, len(families)), 5.0), layout="constrained")
    panels = figure.subplots(2, max(1, len(families)), squeeze=False, sharey="row", height_ratios=(3, 2))
    for (above, below), (family, members) in zip(panels.T, families.items(), strict=False):
        for name, own in by_network(members).items():
            found = [contents for run in own if (contents := _read(run))]
            if not found:
                continue
            shade, numbers = colour(own[0].depth), np.arange(1, len(found[0]["blocks"]) + 1)
            intact = mean(contents["error"] for contents in found)
            above.axhline(intact, color=shade, linewidth=0.8, linestyle=":")
            above.plot(numbers, _values(found, "deleted"), "o", color=shade, ms=3.2, label=f"{name}, deleted")
            after = [n for n, block in zip(numbers, found[0]["blocks"].values(), strict=True) if "swapped" in block]
            # Between the two that are swapped.
            places = np.array(after) + 0.5
            above.plot(places, _values(found, "swapped"), "x", color=shade, ms=3.5, mew=0.9, label=f"{name}, swapped")
            below.plot(numbers, _values(found, "size"), "-", color=shade, linewidth=1.1, label=name)
        above.set_title(family, fontsize=TEXT_SIZE + 0.5)
        above.set_ylim(0, 100)
        below.set_ylim(bottom=0)
        for axes, label in ((above, "test error (%)"), (below, "F(x) / x")):
            quiet(axes)
            axes.set_xlabel("block", fontsize=TEXT_SIZE, labelpad=1)
            axes.set_ylabel(label, fontsize=TEXT_SIZE, labelpad=1)
            axes.legend(fontsize=TEXT_SIZE - 1.5, frameon=False)
    title = f"{groups(runs)[0][0].title}; dotted: the network as it is"
    figure.suptitle("\n".join(textwrap.wrap(title, 86)), fontsize=TEXT_SIZE + 0.5)
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
