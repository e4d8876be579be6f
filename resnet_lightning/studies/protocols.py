"""Why published errors of one network differ: each choice of a training protocol by itself, and published recipes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from resnet_lightning.reporting.curves import TEXT_SIZE
from resnet_lightning.reporting.differences import POINTS
from resnet_lightning.reporting.effects import effect_cells, forest
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run
from resnet_lightning.studies import Drawing, Study
from resnet_lightning.studies.choices import BEST, CHOICES, Group, experiment, grouped, of_choices, of_recipes, percent
from resnet_lightning.studies.experiments import RESNETS
from resnet_lightning.studies.recipes import recipe_notes, recipe_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def tables(runs: Sequence[Run]) -> list[Table]:
    """For each group of runs, the choices, and the published recipes."""
    made = []
    for group in grouped(runs):
        for title, rows, notes in (
            ("Choices of a protocol, one at a time", choice_rows(group), choice_notes(group)),
            ("Published errors, and recipes", recipe_rows(group), recipe_notes(group)),
        ):
            title += f". ResNet-20 on {group.title}" if group.runs else ""
            cells = tuple(tuple(row.values()) for row in rows)
            made.append(Table(title, tuple(rows[0]), cells, tuple(filter(None, notes))))
    return made


def choice_rows(group: Group) -> list[dict[str, str]]:
    known = of_choices(group)
    return [
        {
            "Choice": choice.what,
            "Paper's": choice.ours,
            "Changed to": choice.others,
            "Test error %": percent(group.errors(name)),
            **effect_cells(known.get(name)),
        }
        for name, choice in CHOICES.items()
    ]


def choice_notes(group: Group) -> list[str]:
    known = of_choices(group)
    tested = sum(effect.difference.interval is not None for effect in known.values())
    real = sorted((e for e in known.values() if e.real), key=lambda e: -abs(e.difference.mean))
    said = "; ".join(f"{effect.words} {effect.difference}" for effect in real) or "none"
    return [
        f"Effects that are real, the largest first: {said}." if tested else "",
        "The paper's: experiments/cifar10/table6/resnet20.yaml"
        + (f", test error {percent(ours)} %." if (ours := group.errors("")) else ".")
        + " Effect: the test error less that, with its 95 % interval, paired by seed. p: of the paired t-test, "
        f"corrected for {tested or len(CHOICES)} choices (Holm). Seeds to see {POINTS}: about so many show a "
        f"difference of {POINTS} points in four of five comparisons, at the spread of these.",
        "One seed gives the same initial weights, the same order of images and the same crops and flips to all rows, "
        "with three exceptions: 45,000 images have an order of their own; where the last batch is kept, each epoch is "
        "one iteration longer, and what follows comes later; of the recipes, keras begins with other weights.",
        "Best on the test set: the lowest error of all evaluations of a run. It is no result, for the test set has "
        "chosen it, and it can only be lower than the last.",
        shortened(group),
    ]


def shortened(group: Group) -> str:
    if not group.runs or group.full:
        return ""
    return (
        "These are not the paper's runs. Longer experiments are longer in proportion, and the learning rate drops at "
        "the same fractions of a run."
    )


def draw(runs: Sequence[Run]) -> Figure | None:
    """Effects with intervals, choices above and recipes below: a panel for each group of runs."""
    from matplotlib.figure import Figure

    blocks = [
        (group, [list(own.values()) for own in (of_choices(group), of_recipes(group)) if own])
        for group in grouped(runs)
    ]
    # One seed has no interval, and a panel of points alone would say what the verdicts deny.
    blocks = [(group, own) for group, own in blocks if any(e.difference.interval for block in own for e in block)]
    if not blocks:
        return None
    sizes = [0.9 + 0.24 * sum(len(block) + 0.5 for block in own) for _, own in blocks]  # inches
    figure = Figure(figsize=(7.4, sum(sizes) + 0.2), layout="constrained")
    panels = figure.subplots(len(blocks), 1, squeeze=False, height_ratios=sizes)[:, 0]
    for axes, (group, own) in zip(panels, blocks, strict=True):
        forest(axes, own)
        axes.set_title(f"ResNet-20 on {group.title}", fontsize=TEXT_SIZE + 0.5)
        axes.set_xlabel("test error less that of the paper's protocol (points)", fontsize=TEXT_SIZE, labelpad=1)
    figure.supxlabel(
        "lines: 95 % intervals, paired by seed; filled: real after Holm's correction; hollow: no effect seen",
        fontsize=TEXT_SIZE - 1,
        color="#444444",
    )
    return figure


STUDY = Study(
    title="Choices of a protocol: what each is worth, and why published errors differ",
    section="4.2",
    experiments=(
        *(experiment(name) for name in ("keras", "akamaster", "epochs200", "fb_resnet_torch")),
        *(experiment(name) for name in CHOICES if name not in (BEST, "epochs200")),
        RESNETS[20],
    ),
    evaluations=(),
    command="",
    tables=tables,
    figures={"": Drawing(draw, "Effects of single choices and of recipes, with intervals", together=True)},
    in_proportion=True,
)
