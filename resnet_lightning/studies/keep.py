"""results/: what finished runs measured, in small text files that a repository can hold; the weights are not there."""

from collections.abc import Sequence
from typing import Any

import yaml

from resnet_lightning.errors import BadInput
from resnet_lightning.files import write_text
from resnet_lightning.runs.folder import RESULTS, RUNS, make_folder
from resnet_lightning.runs.metrics_file import format_metrics, read_metrics
from resnet_lightning.runs.reading import load_runs
from resnet_lightning.studies import find_study, name_given

ROWS = 300  # of a metrics.csv: more than a figure shows
WHOLE = ("result.json", "lesions.json", "test-*.json", "responses.csv", "gradients.csv")  # small as they are


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning keep`."""
    keep(name_given("keep", arguments))


def keep(name: str) -> None:
    """Copies what a study's runs in runs/ measured into results/, of those that are over.

    Raises:
        BadInput: for an unknown study, if none of its runs is over, or for a folder that cannot be written to.
    """
    runs = [run for run in load_runs(find_study(name).experiments, RUNS) if run.state in ("finished", "diverged")]
    if not runs:
        raise BadInput(f"no run of {name} in {RUNS} is finished: make {name}")
    for run in runs:
        folder = RESULTS / run.folder.relative_to(RUNS)
        make_folder(folder)
        write_text(folder / "config.yaml", without_place((run.folder / "config.yaml").read_text()))
        write_text(folder / "metrics.csv", format_metrics(thinned(read_metrics(run.folder / "metrics.csv"))))
        for path in (path for pattern in WHOLE for path in run.folder.glob(pattern)):
            write_text(folder / path.name, path.read_text())
        print(f"{folder}: {run.network}, seed {run.seed}, {run.state}")


def thinned(rows: dict[int, dict[str, str]], most: int = ROWS) -> dict[int, dict[str, str]]:
    """Every row of an evaluation, the first and the last one, and of the others every n-th, as many as fit."""
    numbers = sorted(rows)
    needed = {number for number in numbers if any(name.startswith(("test/", "val/")) for name in rows[number])}
    needed |= {*numbers[:1], *numbers[-1:]}
    others = [number for number in numbers if number not in needed]
    step = -(-len(others) // max(1, most - len(needed)))
    return {number: rows[number] for number in sorted({*needed, *others[step - 1 :: step]})} if others else rows


def without_place(config: str) -> str:
    """A configuration without what says where on one machine its data and its run were."""
    settings: dict[str, Any] = yaml.safe_load(config)
    settings["data"].get("init_args", {}).pop("root", None)
    for name in ("run", "ckpt_path"):
        settings.pop(name, None)
    return yaml.safe_dump(settings, sort_keys=False)
