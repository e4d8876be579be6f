"""results/: what finished runs measured, as a repository can hold it: text, and the weights of small networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from resnet_lightning.errors import BadInput
from resnet_lightning.files import sha256, write_atomically, write_text
from resnet_lightning.runs.checkpoints import checksum_file, iteration_of, newest_whole_checkpoint
from resnet_lightning.runs.folder import RESULTS, RUNS, make_folder
from resnet_lightning.runs.metrics_file import format_metrics, read_metrics
from resnet_lightning.runs.reading import Run, load_runs
from resnet_lightning.studies import STUDIES, find_study

ROWS = 300  # of a metrics.csv: more than a figure shows
# Small as they are; pictures.json is not, and holds images that are not for publication.
WHOLE = ("result.json", "lesions.json", "detections.json", "test-*.json", "responses.csv", "gradients.csv")
WEIGHTS = "weights.safetensors"
EACH, TOGETHER = 5_000_000, 25_000_000  # bytes of weights in results/
BYTES = 4  # of a weight


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning keep`."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False, allow_abbrev=False, prog="resnet-lightning keep")
    parser.add_argument("name", help=f"one of {', '.join(STUDIES)}")
    parser.add_argument("--data", help="folder of the data, for checkpoints of versions before 0.2: the mean image")
    options = parser.parse_args(list(arguments))
    keep(options.name, options.data)


def keep(name: str, data: str | None = None) -> None:
    """Copies what a study's runs in runs/ measured into results/, of those that are over, and small weights.

    Raises:
        BadInput: for an unknown study, if none of its runs is over, or for a folder that cannot be written to.
    """
    runs = [run for run in load_runs(find_study(name).experiments, RUNS) if run.state in ("finished", "diverged")]
    if not runs:
        raise BadInput(f"no run of {name} in {RUNS} is finished: make {name}")
    for run in runs:
        folder = RESULTS / run.folder.relative_to(RUNS)
        make_folder(folder)
        write_text(folder / "config.yaml", without_place((run.folder / "config.yaml").read_text(encoding="utf-8")))
        write_text(folder / "metrics.csv", format_metrics(thinned(read_metrics(run.folder / "metrics.csv"))))
        for path in (path for pattern in WHOLE for path in run.folder.glob(pattern)):
            write_text(folder / path.name, path.read_text(encoding="utf-8"))
        weights = keep_weights(run, folder, data) if run.state == "finished" else "no weights"
        print(f"{folder}: {run.network}, seed {run.seed}, {run.state}, {weights}")


def keep_weights(run: Run, folder: Path, data: str | None) -> str:
    """Writes the weights of a run's last iteration, with its mean image and classes, and says what it did."""
    path, size = folder / WEIGHTS, BYTES * run.parameters
    checkpoint = newest_whole_checkpoint(run.folder / "checkpoints", first=False)
    if checkpoint is None or iteration_of(checkpoint) != run.iteration:
        return "weights of an earlier call" if path.exists() else "no weights: its last checkpoint is not there"
    others = sum(other.stat().st_size for other in RESULTS.rglob(WEIGHTS) if other != path)
    if size > EACH:
        return f"no weights: {size / 1e6:.1f} MB are too large for a repository (at most {EACH / 1e6:.0f} MB each)"
    if others + size > TOGETHER:
        return (
            f"no weights: {size / 1e6:.1f} MB more are too much beside the {others / 1e6:.1f} MB of weights in "
            f"{RESULTS} (at most {TOGETHER / 1e6:.0f} MB together)"
        )
    from safetensors.torch import save  # not for whoever keeps text alone

    from resnet_lightning.runs.trained import kept_weights, load_run

    trained = load_run(checkpoint, data)
    if trained.preprocessing is None:
        return "no weights: its checkpoint lacks the mean image, name the data with --data"
    tensors, told = kept_weights(trained)
    write_atomically(path, lambda file: file.write(save(tensors, told)))
    write_text(checksum_file(path), f"{sha256(path)}  {WEIGHTS}\n")
    return f"weights {path.stat().st_size / 1e6:.1f} MB"


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
