"""Run folders as values: what was trained, how far it is, and its curves; and the published numbers beside them."""

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from resnet_lightning.errors import BadInput
from resnet_lightning.metrics_file import read_metrics
from resnet_lightning.run_folder import read_json

GIVEN = ("experiment", "seed", "network", "depth", "shortcut", "parameters", "iterations", "data", "train_images")


@dataclass(frozen=True)
class Run:
    """One run; errors are in percent.

    Args:
        network: as the tables name it: plain-20, ResNet-20 (option A), ResNet-20 B.
        shortcut: "A", "B", "C", or "none" for a plain network.
        iterations: planned.
        changes: what differs from the experiment's file.
        data: what it was trained and tested on, in words.
        state: "finished", "diverged", or "unfinished" (going on or interrupted).
        iteration: reached so far.
        train_error: at the last iteration, over the last stretch of training images; None if there is none.
        test_error: at the last iteration at which it was measured; None if there is none.
        rows: of metrics.csv, by iteration.
    """

    folder: Path
    experiment: str
    seed: int
    network: str
    depth: int
    shortcut: str
    parameters: int
    iterations: int
    changes: tuple[str, ...]
    data: str
    train_images: int
    state: str
    iteration: int
    train_error: float | None
    test_error: float | None
    rows: dict[int, dict[str, float]] = field(repr=False, compare=False)

    def curve(self, column: str) -> tuple[list[int], list[float]]:
        """The iterations at which a column of metrics.csv was measured, and its values in the column's unit."""
        points = [(iteration, row[column]) for iteration, row in self.rows.items() if column in row]
        return [iteration for iteration, _ in points], [value for _, value in points]

    def last(self, column: str) -> float | None:
        """The latest value of a column of metrics.csv, or None if it was never measured."""
        values = self.curve(column)[1]
        return values[-1] if values else None


def load_runs(root: Path, experiments: Sequence[str]) -> list[Run]:
    """All runs of these experiments below root, changed or not, in the order of the experiments, then by seed.

    A file that cannot be read is skipped with one line on stderr: without its run.json a run is left out, without its
    result.json it counts as unfinished.
    """
    runs = []
    for experiment in experiments:
        path = root / experiment
        folders = [folder for folder in path.parent.glob("*/seed*") if folder.parent.name.split("@")[0] == path.name]
        found = [run for folder in folders if (run := _load(folder))]
        runs += sorted(found, key=lambda run: (run.seed, run.changes))
    return runs


@cache
def paper() -> dict[str, Any]:
    """The published numbers, paper.yaml; errors are in percent."""
    contents: dict[str, Any] = yaml.safe_load((files("resnet_lightning") / "paper.yaml").read_text(encoding="utf-8"))
    return contents


def _load(folder: Path) -> Run | None:
    result = _json(folder / "result.json")
    info = _json(folder / "run.json") if (folder / "run.json").exists() else result
    if not info:
        return None
    rows = _rows(folder / "metrics.csv")
    try:
        run = Run(
            folder=folder,
            changes=tuple(info["changes"]),
            **{name: info[name] for name in GIVEN},
            state=result.get("state", "unfinished"),
            iteration=result.get("iteration", max(rows, default=0)),
            train_error=result.get("train_error"),
            test_error=result.get("test_error"),
            rows=rows,
        )
    except (KeyError, TypeError, ValueError) as error:
        _skip(f"{folder / 'run.json'} is damaged ({error!r})")
        return None
    if run.state != "unfinished":
        return run
    return replace(run, train_error=run.last("train/error"), test_error=run.last("test/error"))


def _json(path: Path) -> dict[str, Any]:
    try:
        contents = read_json(path)
    except (BadInput, OSError) as error:
        _skip(str(error))
        return {}
    if contents is not None and not isinstance(contents, dict):
        _skip(f"{path} is damaged (not an object)")
        return {}
    return contents or {}


def _rows(path: Path) -> dict[int, dict[str, float]]:
    try:
        rows = read_metrics(path)
        return {number: {name: float(cell) for name, cell in row.items()} for number, row in sorted(rows.items())}
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        _skip(f"{path} is damaged ({error!r})")
        return {}


def _skip(reason: str) -> None:
    print(f"resnet-lightning: skipped: {' '.join(reason.split())}", file=sys.stderr)
