"""Errors of several ways of testing beside published ones, a table per setting; weights of others in their own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from resnet_lightning.reporting.cells import (
    difference,
    evaluated,
    evaluation_note,
    final_errors,
    length,
    published_error,
    setting_table,
)
from resnet_lightning.reporting.degradation import degradation_sentence
from resnet_lightning.reporting.groups import PAPERS, Setting, by_network, groups, measured, seeds
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run

UNMEASURED = Setting("ImageNet", PAPERS["ImageNet"][0], ())
Published = Mapping[str, Sequence[float | str | None]]  # percent, by network


class Column(NamedTuple):
    """An error of one way of testing."""

    testing: str
    which: str
    evaluation: str
    measure: str
    place: int | None = None  # in the published row; None where the paper has no such number

    @property
    def heading(self) -> str:
        return f"{self.testing} {self.which} error %"  # measured


def comparison(
    label: str,
    runs: Sequence[Run],
    published: Published,
    columns: Sequence[Column],
    more: Sequence[Column],
    note: str,
) -> list[Table]:
    """One table per setting of our runs; a full-length one has every row of the paper; then weights of others.

    Args:
        more: columns that weights of others have where runs have the ends of their curves; without any, neither has.
    """
    tables = []
    for setting, group in groups([run for run in runs if not run.weights]) or [(UNMEASURED, [])]:
        networks = {_papers_name(name, published): own for name, own in by_network(group).items()}
        rows = [
            _row(setting, name, published.get(name, ()), networks.get(name, []), columns, curves=bool(more))
            for name in names_of(setting, published, networks)
        ]
        notes = [degradation_sentence(group), note if setting.imagenet else "", *_testing(group, columns)]
        tables.append(setting_table(label, setting, group, rows, notes))
    others = groups([run for run in runs if run.weights])
    return tables + [weights_table(setting, group, [*columns, *more]) for setting, group in others]


def weights_table(setting: Setting, group: Sequence[Run], columns: Sequence[Column]) -> Table:
    """Weights that others trained, one row per file, with no published error of the paper's own training."""
    rows = []
    for run in sorted(group, key=lambda run: (run.depth, run.network, run.weights)):
        row = {"Network": run.network, "Weights": describe(run), "Parameters": f"{run.parameters / 1e6:.2f}M"}
        rows.append(row | {column.heading: evaluated([run], column.evaluation, column.measure) for column in columns})
    said = ["How these weights were trained is not known here: they stand beside no error of the paper."]
    return Table(
        setting.title,
        tuple(rows[0]),
        tuple(tuple(row.values()) for row in rows),
        tuple(note for note in [*_testing(group, columns), *said] if note),
    )


def describe(run: Run) -> str:
    """Weights of others, marked as such."""
    changes = [change for change in run.changes if Path(run.weights).stem not in change]
    return "; ".join([f"weights: {run.weights}, not trained here", *changes])


def _row(
    setting: Setting,
    name: str,
    published: Sequence[float | str | None],
    own: list[Run],
    columns: Sequence[Column],
    curves: bool,
) -> dict[str, str]:
    row = {"Network": name}
    for column in columns:
        beside = setting.imagenet and column.place is not None
        theirs = published[column.place] if published and column.place is not None else None
        if beside:
            row[f"Published {column.which} error %"] = published_error(theirs)
        row[column.heading] = evaluated(own, column.evaluation, column.measure)
        if beside:
            ours = final_errors(own, column.evaluation, column.measure)
            row[f"Difference {column.which}"] = difference(setting, mean(ours) if ours else None, theirs)
    return row | (curve_ends(own) if curves else {"Seeds": seeds(own)}) | length(setting, own)


def curve_ends(own: list[Run]) -> dict[str, str]:
    """The columns of the errors (percent) while training, at the last iteration."""
    return {
        "Centre-crop error %": measured(own, "test"),
        "Training error %": measured(own, "train"),
        "Seeds": seeds(own),
    }


def names_of(setting: Setting, published: Mapping[str, object], networks: Mapping[str, object]) -> list[str]:
    """The paper's order, all of it or what was run of it; then the other networks."""
    return list(dict.fromkeys([*(name for name in published if setting.full or name in networks), *networks]))


def _papers_name(name: str, published: Published) -> str:
    """ResNet-34 is ResNet-34 A where the paper sets it beside B and C."""
    return f"{name} A" if f"{name} A" in published else name


def _testing(group: Sequence[Run], columns: Sequence[Column]) -> list[str]:
    return [evaluation_note(group, name) for name in dict.fromkeys(column.evaluation for column in columns)]
