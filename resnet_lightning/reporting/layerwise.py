"""What a run has recorded of every layer: responses.csv and gradients.csv as arrays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from resnet_lightning.runs.reading import Run, read_rows

Rows = dict[int, NDArray[np.float64]]


def layer_rows(run: Run, file: str) -> Rows:
    """The values of all layers, in the network's order, by iteration; nothing if the run has recorded none."""
    rows = read_rows(run.folder / file)
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    return {iteration: np.array([row.get(name, np.nan) for name in names]) for iteration, row in rows.items()}


def mean_rows(runs: Sequence[Run], file: str) -> Rows:
    """The mean over the finished runs, at the iterations that all have; without any, the one that is furthest."""
    each = [(run, rows) for run in runs if (rows := layer_rows(run, file))]
    members = [rows for run, rows in each if run.state == "finished"]
    if not members:
        return max((rows for _, rows in each), key=lambda rows: max(rows), default={})
    common = sorted(set.intersection(*map(set, members)))
    return {iteration: np.mean([rows[iteration] for rows in members], axis=0) for iteration in common}
