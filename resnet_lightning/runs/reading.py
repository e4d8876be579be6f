"""Run folders as values: what was trained, how far it is, and its curves; and the published numbers beside them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from resnet_lightning.errors import BadInput
from resnet_lightning.runs.checkpoints import iteration_of
from resnet_lightning.runs.experiments import as_shipped
from resnet_lightning.runs.folder import RESULTS, read_json
from resnet_lightning.runs.metrics_file import read_metrics

GIVEN = ("experiment", "seed", "network", "depth", "shortcut", "parameters", "iterations", "data", "train_images")


@dataclass(frozen=True)
class Run:
    """One run; errors are in percent.

    Args:
        network: as the tables name it: plain-20, ResNet-20 (option A), ResNet-20 B.
        family: of the network: plain, ResNet, or what another network calls its own.
        shortcut: "A", "B", "C", or "none" for a plain network.
        iterations: planned.
        changes: what differs from the experiment's file.
        shipped: whether its configuration is that of the experiment's files.
        data: what it was trained and tested on, in words.
        state: "finished", "diverged", "unfinished" (going on or interrupted), or "evaluated" (weights of others).
        iteration: reached so far.
        train_error: at the last iteration, over the last stretch of training images; None if there is none.
        test_error: at the last iteration at which it was measured; None if there is none. A run without a test set, as
            on ImageNet, whose test labels are not public, has the error on its validation set here.
        rows: of metrics.csv, by iteration.
        evaluations: of one of its checkpoints: the contents of test-<evaluation>.json.
        weights: the file of weights that others trained and that were only evaluated here; empty for a run.
    """

    folder: Path
    experiment: str
    seed: int
    network: str
    family: str
    depth: int
    shortcut: str
    parameters: int
    iterations: int
    changes: tuple[str, ...]
    shipped: bool
    data: str
    train_images: int
    state: str
    iteration: int
    train_error: float | None
    test_error: float | None
    rows: dict[int, dict[str, float]] = field(repr=False, compare=False)
    evaluations: dict[str, dict[str, Any]] = field(repr=False, compare=False)
    weights: str

    def curve(self, column: str) -> tuple[list[int], list[float]]:
        """The iterations at which a column of metrics.csv was measured, and its values in the column's unit.

        The test set is the validation set where a run has no other.
        """
        points = [(iteration, row[column]) for iteration, row in self.rows.items() if column in row]
        if not points and column.startswith("test/"):
            return self.curve(column.replace("test/", "val/"))
        return [iteration for iteration, _ in points], [value for _, value in points]

    @property
    def kept(self) -> bool:
        """Whether it is from results/, and was not made in this working folder."""
        return RESULTS.name in self.folder.parts

    @property
    def evaluated_on(self) -> str:
        """The images that test_error is of, in a word: test or validation."""
        columns = {column for row in self.rows.values() for column in row}
        return "validation" if "val/error" in columns and "test/error" not in columns else "test"

    def last(self, column: str) -> float | None:
        """The latest value of a column of metrics.csv, or None if it was never measured."""
        values = self.curve(column)[1]
        return values[-1] if values else None


def load_runs(experiments: Sequence[str], *roots: Path) -> list[Run]:
    """All runs of these experiments below the roots, changed or not, in the order of the experiments, then by seed.

    What several roots have of one run and the same data counts once: the first that is over, else the first.

    A file that cannot be read is skipped with one line on stderr: without its run.json a run is left out, without its
    result.json it counts as unfinished.
    """
    runs = []
    for experiment in experiments:
        found: dict[tuple[Path, str], Run] = {}
        for root in roots:
            path = root / experiment
            for folder in path.parent.glob("*/seed*"):
                if folder.parent.name.split("@")[0] == path.name and (run := _load(folder)):
                    earlier = found.setdefault((folder.relative_to(root), run.data), run)
                    if earlier.state == "unfinished" != run.state:
                        found[folder.relative_to(root), run.data] = run
        runs += sorted(found.values(), key=lambda run: (run.seed, run.changes))
    return runs


def runs_in(folders: Sequence[Path]) -> list[Run]:
    """The runs of these folders, in their order; those that have not begun are left out, as load_runs leaves them."""
    return [run for folder in folders if folder.is_dir() and (run := _load(folder))]


@cache
def paper() -> dict[str, Any]:
    """The published numbers, paper.yaml; errors are in percent."""
    contents: dict[str, Any] = yaml.safe_load((files("resnet_lightning") / "paper.yaml").read_text(encoding="utf-8"))
    return contents


def _load(folder: Path) -> Run | None:
    result = read_json_or_nothing(folder / "result.json")
    info = read_json_or_nothing(folder / "run.json") if (folder / "run.json").exists() else result
    if not info:
        return None
    if info.get("weights"):  # has no training of its own
        info = {"iterations": 0, "train_images": 0, **info}
    rows = read_rows(folder / "metrics.csv")
    try:
        run = Run(
            folder=folder,
            changes=tuple(info["changes"]),
            shipped=_is_shipped(folder / "config.yaml", info),
            **{name: info[name] for name in GIVEN},
            # Runs from before it was recorded have it in their name: plain-20, ResNet-20 B.
            family=info.get("family") or info["network"].partition("-")[0],
            state="evaluated" if info.get("weights") else result.get("state", "unfinished"),
            iteration=result.get("iteration", max(rows, default=0)),
            train_error=result.get("train_error"),
            test_error=result.get("test_error", result.get("val_error")),
            rows=rows,
            evaluations=_evaluations(folder, info["data"]),
            weights=Path(info.get("weights") or "").name,
        )
    except (KeyError, TypeError, ValueError) as error:
        skip(f"{folder / 'run.json'} is damaged ({error!r})")
        return None
    if run.state != "unfinished":
        return run
    return replace(run, train_error=run.last("train/error"), test_error=run.last("test/error"))


def _is_shipped(config: Path, info: dict[str, Any]) -> bool:
    try:
        return as_shipped(info, config.read_text(encoding="utf-8") if config.exists() else "")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError):
        return False  # a damaged one is nobody's experiment


def _evaluations(folder: Path, data: str) -> dict[str, dict[str, Any]]:
    """The contents of each test-<evaluation>.json on the run's own data, with the iteration of its checkpoint."""
    found = {}
    for path in sorted(folder.glob("test-*.json")):
        contents = read_json_or_nothing(path)
        if contents and not isinstance(contents.get("error", contents.get("mAP")), int | float):
            skip(f"{path} is damaged (no error in percent)")
        elif contents and contents.get("data", data) != data:
            skip(f"{path} is of {contents['data']}, not of the run's data, {data}")
        elif contents:
            iteration = iteration_of(Path(contents.get("checkpoint", "")))
            found[path.stem.removeprefix("test-")] = {"iteration": iteration, **contents}
    return found


def read_json_or_nothing(path: Path) -> dict[str, Any]:
    """The contents of a JSON file, empty without one; what cannot be read is skipped with one line on stderr."""
    try:
        contents = read_json(path)
    except (BadInput, OSError) as error:
        skip(str(error))
        return {}
    if contents is not None and not isinstance(contents, dict):
        skip(f"{path} is damaged (not an object)")
        return {}
    return contents or {}


def read_rows(path: Path) -> dict[int, dict[str, float]]:
    """The rows of a run's CSV file by iteration; what cannot be read is skipped with one line on stderr."""
    try:
        rows = read_metrics(path)
        return {number: {name: float(cell) for name, cell in row.items()} for number, row in sorted(rows.items())}
    except BadInput as error:
        skip(str(error))
    except ValueError as error:  # a cell that is no number
        skip(f"{path} is damaged ({error!r})")
    return {}


@cache  # tables, figures and the page read the same files
def skip(reason: str) -> None:
    """Says once what is left out of a report, and why."""
    print(f"resnet-lightning: skipped: {' '.join(reason.split())}", file=sys.stderr)
