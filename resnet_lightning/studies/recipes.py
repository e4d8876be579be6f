"""Published errors of ResNet-20 and ResNet-56, how their recipes differ, and how much of that is explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import stdev
from typing import Any

from resnet_lightning.reporting.cells import NOTHING, published_error
from resnet_lightning.runs.reading import paper
from resnet_lightning.studies.choices import BEST, CHOICES, RECIPES, Group, percent


def recipe_rows(group: Group) -> list[dict[str, str]]:
    published = paper()["table6_cifar10"]["resnet"]
    theirs = {depth: published[depth]["error"] for depth in (20, 56)}
    rows = [recipe_row(group, "He et al. (2015)", {"error": theirs}, theirs[20], "")]
    for name, row in paper()["reimplementations"]["rows"].items():
        rows.append(recipe_row(group, name, row, theirs[20], row.get("recipe")))
    return rows


def recipe_row(group: Group, by: str, row: Mapping[str, Any], theirs: float, recipe: str | None) -> dict[str, str]:
    """The cells of one publisher; recipe names the experiment that follows him, which may be empty for the paper's."""
    error, deviation = row["error"], row.get("std", {})
    own = RECIPES.get(recipe or "", ())
    best = BEST in own
    differs = [*(f"{CHOICES[name].what.lower()}: {CHOICES[name].others}" for name in own), row.get("differs", "")]
    effect = group.effect(recipe, best) if recipe else None
    said = {
        depth: published_error(error.get(depth)) + (f" ± {deviation[depth]:.2f}" if depth in deviation else "")
        for depth in (20, 56)
    }
    return {
        "By": by,
        "Differs in": "; ".join(filter(None, differs)) or NOTHING,
        "Published ResNet-20 %": said[20],
        "Published ResNet-56 %": said[56],
        "Less the paper's": f"{error[20] - theirs:+.2f}" if recipe != "" and 20 in error else NOTHING,
        "Measured %": NOTHING if recipe is None else percent(group.errors(recipe, best)),
        "Measured less the paper's": str(effect or NOTHING),
        "Its choices added up": str((own and group.added_up(own)) or NOTHING),
    }


def recipe_notes(group: Group) -> list[str]:
    rows = paper()["reimplementations"]["rows"].values()
    published: dict[int, list[float]] = {20: [], 56: []}
    for depth, found in published.items():
        found += [row["error"][depth] for row in rows if depth in row["error"]]
        found.append(paper()["table6_cifar10"]["resnet"][depth]["error"])
    apart = " and ".join(
        f"{max(found) - min(found):.2f} points apart for ResNet-{depth} ({min(found):.2f} to {max(found):.2f} %)"
        for depth, found in published.items()
    )
    ours = group.errors("")
    return [
        f"The published errors are {apart}.",
        explained(group),
        f"One protocol alone: the standard deviation over seeds is {stdev(ours.values()):.2f} points here, and most "
        "published errors are of one run, or do not say."
        if len(ours) > 1
        else "",
        "Published: as the pages of the repositories print it; the re-runs are read in a collection of such numbers. "
        "Measured: akamaster and fb.resnet.torch at their best evaluation, as they report it, the others at the last.",
        "Added up: what the choices would be worth together if each were worth what it is by itself.",
        "Published errors are of the original images at 32×32 pixels." if group.runs and not group.full else "",
    ]


def explained(group: Group) -> str:
    """How much of what is published the recipes explain that were trained here, and their choices added up."""
    rows, theirs = paper()["reimplementations"]["rows"], paper()["table6_cifar10"]["resnet"][20]["error"]
    known = {
        by: (row["error"][20] - theirs, measured.mean, added.mean)
        for by, row in rows.items()
        if (recipe := row.get("recipe")) and 20 in row["error"]
        if (measured := group.effect(recipe, BEST in RECIPES[recipe])) and (added := group.added_up(RECIPES[recipe]))
    }
    if not known or not group.full:  # shortened runs say nothing of published errors
        return ""
    published, ours, sums = zip(*known.values(), strict=True)
    return (
        f"How the published errors of {', '.join(known)} differ from the paper's: the same recipes, trained here, "
        f"explain {share(published, ours)}, and their choices, added up, {share(published, sums)} (of the sum of "
        "squares)."
    )


def share(published: Sequence[float], found: Sequence[float]) -> str:
    """How much of the squared differences (points) is explained by others, in words.

    >>> share([-0.5, 0.5], [-0.5, 0.0]), share([-0.5], [0.1])
    ('50 %', 'nothing')
    """
    left = sum((one - other) ** 2 for one, other in zip(published, found, strict=True))
    explained = 1 - left / sum(one**2 for one in published)
    return f"{100 * explained:.0f} %" if explained > 0 else "nothing"
