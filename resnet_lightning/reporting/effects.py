"""Effects on the test error, of many tests at once: in cells, and as a forest plot beside a line of no effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from resnet_lightning.reporting.cells import NOTHING
from resnet_lightning.reporting.curves import TEXT_SIZE, quiet
from resnet_lightning.reporting.differences import LEVEL, POINTS, Difference, holm

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HIGHER, LOWER, UNSEEN = "#D55E00", "#0072B2", "#777777"  # of the palette of Okabe and Ito


class Effect(NamedTuple):
    """What something changed is worth.

    Args:
        words: what was changed.
        difference: of the test error, in points of percent.
        p: of its test, corrected for many; 1 where there is no interval.
        real: whether that is below the level.
    """

    words: str
    difference: Difference
    p: float
    real: bool


def effects(found: Mapping[str, Difference]) -> list[Effect]:
    """The differences, by their words, as one family of tests."""
    corrected = iter(holm([difference.p for difference in found.values() if difference.interval]))
    made = []
    for words, difference in found.items():
        p = next(corrected) if difference.interval else 1.0
        made.append(Effect(words, difference, p, p < LEVEL))
    return made


def effect_cells(effect: Effect | None) -> dict[str, str]:
    tested = effect is not None and effect.difference.interval is not None
    needed = effect.difference.seeds_needed if effect else None
    return {
        "Effect, points": str(effect.difference) if effect else NOTHING,
        "p (Holm)": f"{effect.p:.2g}" if effect and tested else NOTHING,
        "Verdict": verdict(effect),
        "Seeds": str(effect.difference.seeds) if effect else NOTHING,
        f"Seeds to see {POINTS}": str(needed or NOTHING),
    }


def verdict(effect: Effect | None) -> str:
    """What the test says, in words.

    >>> verdict(None)
    '–'
    """
    if effect is None:
        return NOTHING
    if effect.difference.interval is None:
        return "one seed says nothing" if effect.difference.seeds == 1 else "the same in all seeds"
    if not effect.real:
        return "no effect seen"
    return f"real: {'higher' if effect.difference.mean > 0 else 'lower'} error"


def forest(axes: Axes, blocks: Sequence[Sequence[Effect]]) -> None:
    """Draws blocks of effects from the top down, a gap between them; those that are not real are hollow and grey."""
    place, places, words = 0.0, [], []
    for block in blocks:
        for effect in block:
            points = effect.difference.mean
            shade = UNSEEN if not effect.real else HIGHER if points > 0 else LOWER
            if effect.difference.interval:
                axes.plot(
                    effect.difference.interval, [place] * 2, "-", color=shade, linewidth=1.4, solid_capstyle="butt"
                )
            axes.plot(points, place, "o", color=shade, mfc=shade if effect.real else "white", ms=4.5)
            # The numbers stand in a column of their own, right of the frame.
            across = axes.get_yaxis_transform()
            axes.text(1.02, place, str(effect.difference), transform=across, fontsize=TEXT_SIZE - 1, va="center")
            places.append(place)
            words.append(effect.words)
            place -= 1
        place -= 0.5
    axes.axvline(0, color="black", linewidth=0.7)
    quiet(axes)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="#BBBBBB", linewidth=0.5, linestyle=":")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.set_yticks(places, words, fontsize=TEXT_SIZE)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(min(places, default=0) - 0.7, 0.7)
