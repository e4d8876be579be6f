"""Runs as reports see them: read from their folders, and put into groups that may be compared."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import yaml

from resnet_lightning.errors import BadInput
from resnet_lightning.metrics_file import read_metrics
from resnet_lightning.run_folder import read_json

FULL_LENGTH = 64_000  # iterations, section 4.2


@dataclass(frozen=True)
class Run:
    """One run, finished or not; errors in percent."""

    network: str
    depth: int
    shortcut: str
    parameters: int
    seed: int
    iterations: int
    changes: tuple[str, ...]
    data: str
    train_images: int
    state: str  # finished, diverged or unfinished
    rows: dict[int, dict[str, str]]

    @property
    def residual(self) -> bool:
        return self.shortcut != "none"

    @property
    def iteration(self) -> int:
        """How far it is."""
        return max(self.rows, default=0)

    def curve(self, column: str) -> tuple[list[int], list[float]]:
        """Iterations at which a column was measured, and its values there."""
        points = [(iteration, float(row[column])) for iteration, row in sorted(self.rows.items()) if column in row]
        return [iteration for iteration, _ in points], [value for _, value in points]

    def last(self, column: str) -> float | None:
        """A column's last value, or None if it was never measured."""
        _, values = self.curve(column)
        return values[-1] if values else None


@dataclass(frozen=True)
class Group:
    """Runs on the same data, of the same length, with the same changes: they may stand in one table."""

    data: str
    iterations: int
    changes: tuple[str, ...]
    runs: tuple[Run, ...]

    @property
    def full_length(self) -> bool:
        """Whether these are the paper's runs: all 64,000 iterations and nothing changed."""
        return self.iterations == FULL_LENGTH and not self.other_changes and self.data.startswith("CIFAR-10")

    @property
    def other_changes(self) -> list[str]:
        """What was changed besides the number of iterations."""
        return [change for change in self.changes if not change.startswith("max_steps=")]

    @property
    def title(self) -> str:
        """Data, length and changes, in words."""
        length = f"{self.iterations:,} iterations"
        if self.data.startswith("CIFAR-10") and self.iterations != FULL_LENGTH:
            length += f" instead of {FULL_LENGTH:,}"
        changed = f", changed: {', '.join(self.other_changes)}" if self.other_changes else ""
        return f"{self.data}, {length}{changed}"

    def networks(self) -> list[tuple[Run, ...]]:
        """The runs of each network, one a seed: plain networks first, then by depth."""
        names: dict[str, list[Run]] = {}
        for run in sorted(self.runs, key=lambda run: (run.residual, run.depth, run.shortcut, run.seed)):
            names.setdefault(run.network, []).append(run)
        return [tuple(runs) for runs in names.values()]


def load_runs(root: Path, experiments: Sequence[str]) -> list[Run]:
    """All runs of these experiments below a folder; one that cannot be read is named on stderr and left out."""
    runs = []
    for experiment in experiments:
        for path in sorted([*root.glob(f"{experiment}/seed*"), *root.glob(f"{experiment}@*/seed*")]):
            try:
                info = read_json(path / "run.json")
                if info:
                    result = read_json(path / "result.json")
                    runs.append(make_run(info, result, read_metrics(path / "metrics.csv")))
            except (BadInput, KeyError, ValueError, TypeError) as error:
                print(f"{path} is left out, it cannot be read: {error!r}", file=sys.stderr)
    return runs


def make_run(info: dict[str, Any], result: dict[str, Any] | None, rows: dict[int, dict[str, str]]) -> Run:
    names = ("network", "depth", "shortcut", "parameters", "seed", "iterations", "data", "train_images")
    state = str(result["state"]) if result else "unfinished"
    return Run(**{name: info[name] for name in names}, changes=tuple(info["changes"]), state=state, rows=rows)


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Runs that may be compared with each other, full-length ones first."""
    found: dict[tuple[str, int, tuple[str, ...]], list[Run]] = {}
    for run in runs:
        found.setdefault((run.data, run.iterations, run.changes), []).append(run)
    groups = [Group(*key, tuple(members)) for key, members in found.items()]
    return sorted(groups, key=lambda group: (not group.full_length, group.data, -group.iterations, group.changes))


def finished_errors(runs: Sequence[Run], column: str) -> list[float]:
    """A column at the last iteration of every finished run."""
    values = [run.last(column) for run in runs if run.state == "finished"]
    return [value for value in values if value is not None]


def mean_and_spread(values: Sequence[float]) -> str:
    """8.60 ± 0.20 (sample standard deviation), 8.60 for a single value, – for none."""
    if not values:
        return "–"
    return f"{mean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def paper() -> dict[str, Any]:
    """The published numbers."""
    published: dict[str, Any] = yaml.safe_load(files("resnet_lightning").joinpath("paper.yaml").read_text())
    return published
