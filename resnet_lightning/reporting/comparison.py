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
    measured,
    published_error,
    seeds,
)
from resnet_lightning.reporting.degradation import degradation_sentence
from resnet_lightning.reporting.setting_tables import Networks, Rows, as_table, names_of, table_per_setting
from resnet_lightning.reporting.settings import Setting, groups, whole
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run

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


TOP1 = Column("10-crop", "top-1", "ten_crop", "error", 0)
TOP5 = Column("10-crop", "top-5", "ten_crop", "top5_error", 1)
CENTRE = (
    Column("Centre-crop", "top-1", "center", "error"),
    Column("Centre-crop", "top-5", "center", "top5_error"),
)


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

    def make(setting: Setting, networks: Networks) -> tuple[Rows, list[str]]:
        named = {_papers_name(name, published): own for name, own in networks.items()}
        rows = [
            _row(setting, name, published.get(name, ()), named.get(name, []), columns, curves=bool(more))
            for name in names_of(setting, published, named)
        ]
        testing = _testing([run for own in networks.values() for run in own], columns)
        return rows, [degradation_sentence(networks), note if setting.imagenet else "", *testing]

    others = groups([run for run in runs if run.weights])
    return table_per_setting(label, runs, make, whole("ImageNet")) + [
        weights_table(setting, group, [*columns, *more]) for setting, group in others
    ]


def weights_table(setting: Setting, group: Sequence[Run], columns: Sequence[Column]) -> Table:
    """Weights that others trained, one row per file, with no published error of the paper's own training."""
    rows = []
    for run in sorted(group, key=lambda run: (run.depth, run.network, run.weights)):
        row = {"Network": run.network, "Weights": describe(run), "Parameters": f"{run.parameters / 1e6:.2f}M"}
        rows.append(row | {column.heading: evaluated([run], column.evaluation, column.measure) for column in columns})
    said = ["How these weights were trained is not known here: they stand beside no error of the paper."]
    return as_table(setting.title, setting, rows, [*_testing(group, columns), *said])


def describe(run: Run) -> str:
    """Weights of others, marked as such."""
    changes = [change for change in run.changes if Path(run.weights).stem not in change]
    return "; ".join([f"weights: {run.weights}, not trained here", *changes])


def _row(
    setting: Setting,
    name: str,
    published: Sequence[float | str | None],
    own: Sequence[Run],
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


def curve_ends(own: Sequence[Run]) -> dict[str, str]:
    """The columns of the errors (percent) while training, at the last iteration."""
    return {
        "Centre-crop error %": measured(own, "test"),
        "Training error %": measured(own, "train"),
        "Seeds": seeds(own),
    }


def _papers_name(name: str, published: Published) -> str:
    """ResNet-34 is ResNet-34 A where the paper sets it beside B and C."""
    return f"{name} A" if f"{name} A" in published else name


def _testing(group: Sequence[Run], columns: Sequence[Column]) -> list[str]:
    return [evaluation_note(group, name) for name in dict.fromkeys(column.evaluation for column in columns)]
