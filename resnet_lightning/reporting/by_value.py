"""Errors by the value of one setting: a table, and a figure with a line for each experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import TYPE_CHECKING

from resnet_lightning.reporting.cells import errors, mean_error, measured, seeds
from resnet_lightning.reporting.colours import OTHER_FAMILIES
from resnet_lightning.reporting.curves import TEXT_SIZE, quiet
from resnet_lightning.reporting.settings import PAPERS, setting_of
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run

if TYPE_CHECKING:  # matplotlib is imported when something is drawn
    from matplotlib.figure import Figure

LOGARITHMIC = 4  # the highest of positive values over the lowest, from which on steps are factors


def by_value(name: str, runs: Sequence[Run]) -> dict[str, dict[str, list[Run]]]:
    """The seeds of each experiment and value, in the order in which they come; a value is a change name=value."""
    found: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        [value] = [change.partition("=")[2] for change in run.changes if change.startswith(f"{name}=")]
        found.setdefault(run.network, {}).setdefault(value, []).append(run)
    return found


def tables(name: str, runs: Sequence[Run]) -> list[Table]:
    """One table: errors (percent) over the seeds.

    Args:
        name: of the setting, as runs have it in their changes.
    """
    found = by_value(name, runs)
    validated = any(run.last("val/error") is not None and run.last("test/error") is not None for run in runs)
    rows = [
        {
            "Network": network,
            name: value,
            "Training error %": measured(own, "train"),
            **({"Validation error %": validation(own)} if validated else {}),
            "Test error %": measured(own, "test"),
            "Seeds": seeds(own),
        }
        for network, values in found.items()
        for value, own in values.items()
    ]
    if not rows:
        return []
    cells = tuple(tuple(row.values()) for row in rows)
    heading = f"Errors by {name}. {common_words(name, runs)}"
    return [Table(heading, tuple(rows[0]), cells, (lowest(name, found), choice(validated)), caveats(runs))]


def common_words(name: str, runs: Sequence[Run]) -> str:
    """What all runs share: data, iterations, and changes beside the setting."""
    changes = [change for change in setting_of(runs[0]).changes if not change.startswith(f"{name}=")]
    iterations = sorted({run.iterations for run in runs})
    words = f"{runs[0].data}: {' or '.join(f'{number:,}' for number in iterations)} iterations"
    return words + (f"; changed: {', '.join(changes)}" if changes else "")


def validation(own: Sequence[Run]) -> str:
    values = [error for run in own if run.state == "finished" and (error := run.last("val/error")) is not None]
    return f"{mean(values):.2f}" if values else "–"


def lowest(name: str, found: Mapping[str, Mapping[str, Sequence[Run]]]) -> str:
    """The value of each experiment with the lowest mean test error."""
    said = []
    for network, values in found.items():
        tested = {value: error for value, own in values.items() if (error := mean_error(own, "test")) is not None}
        if tested:
            best = min(tested, key=tested.__getitem__)
            said.append(f"{network} at {name}={best} ({tested[best]:.2f})")
    return f"Lowest test error: {', '.join(said)}." if said else ""


def choice(validated: bool) -> str:
    if validated:
        return "A value that is chosen by the validation error leaves the test error of that value a fair one."
    return (
        "A value that is chosen by the test error has a test error that looks too good. Held-out images choose better."
    )


def caveats(runs: Sequence[Run]) -> tuple[str, ...]:
    said = ["Errors are those of the last iteration. ± is the sample standard deviation of the seeds."]
    if any(run.data.startswith(paper) for run in runs for paper in PAPERS):
        said.append("These are not the paper's runs.")
    return tuple(said)


def draw(name: str, runs: Sequence[Run]) -> Figure | None:
    """Test errors (percent) by value: the mean of the seeds as a line, each seed as a point."""
    from matplotlib.figure import Figure

    found = by_value(name, runs)
    values = list(dict.fromkeys(value for own in found.values() for value in own))
    places, factors = positions(values)
    figure = Figure(figsize=(4.4, 3), layout="constrained")
    axes = figure.subplots()
    for shade, (network, own) in zip(OTHER_FAMILIES * len(found), found.items(), strict=False):
        points = [(places[value], errors(own[value], "test")) for value in sorted(own, key=places.__getitem__)]
        points = [(place, tested) for place, tested in points if tested]
        for place, tested in points:
            axes.plot([place] * len(tested), tested, "o", color=shade, ms=3, alpha=0.5, mec="none")
        means = [mean(tested) for _, tested in points]
        axes.plot([place for place, _ in points], means, "-", color=shade, linewidth=1.4, label=network)
    if factors:
        axes.set_xscale("log")
    axes.set_xticks(list(places.values()), list(places))
    axes.set_xticks([], minor=True)
    quiet(axes)
    axes.set_xlabel(name, fontsize=TEXT_SIZE)
    axes.set_ylabel("test error (%)", fontsize=TEXT_SIZE)
    axes.set_title(common_words(name, runs), fontsize=TEXT_SIZE)
    axes.legend(fontsize=TEXT_SIZE - 0.5, frameon=False)
    figure.supxlabel("line: mean of the seeds; points: seeds", fontsize=TEXT_SIZE - 1, color="#444444")
    return figure


def positions(values: Sequence[str]) -> tuple[dict[str, float], bool]:
    """Where each value stands, and whether steps are factors: numbers at themselves, anything else side by side."""
    try:
        places = {value: float(value) for value in values}
    except ValueError:
        return {value: float(place) for place, value in enumerate(values)}, False
    lowest, highest = min(places.values()), max(places.values())
    return places, lowest > 0 and highest >= LOGARITHMIC * lowest
