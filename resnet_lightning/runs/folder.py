"""A run is a folder, runs/<experiment>[@<changes>]/seed<N>/: what is in it.

config.yaml, run.json (what the run is), metrics.csv, checkpoints/, and result.json, written last: with it the run is
finished, whatever happened.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from resnet_lightning.errors import BadInput
from resnet_lightning.files import write_text
from resnet_lightning.runs.identity import first_difference

RUNS = Path("runs")
RESULTS = Path("results")  # of runs that are over, as `keep` writes them: in the same folders, without weights
RESPONSES, GRADIENTS, LESIONS = "responses.csv", "gradients.csv", "lesions.json"  # of every layer, or block
DETECTIONS, PICTURES = "detections.json", "pictures.json"  # of every class; of some tested images
LONGEST = 255  # bytes of a folder's name
# Changes that were in no name before callbacks, and what they may act on, were part of the experiment.
ONCE_UNNAMED = ("callbacks=", "strategy=", "log_every_n_steps=", "val_check_interval=")


def run_folder(experiment: str, changes: Sequence[str], seed: int) -> Path:
    """Where a run lives: what the command line changes, and the seed, are in the name."""
    name = experiment + ("@" + ",".join(changes) if changes else "")
    if len(os.fsencode(Path(name).name)) > LONGEST:
        name = f"{name[: LONGEST // 2]}...{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return RUNS / name / f"seed{seed}"


def result_file(command: str, evaluation: str) -> str:
    """What a command writes last into a run's folder: with it, the work is done."""
    names = {
        "fit": "result",
        "test": f"test-{evaluation}",
        "predict": f"predictions-{evaluation}",
        "lesions": "lesions",
    }
    return f"{names[command]}.json"


def make_folder(folder: Path) -> None:
    """Makes a folder of a run or a report.

    Raises:
        BadInput: if it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise BadInput(f"cannot write to the folder {folder}: {error.strerror or error}") from error


def read_json(path: Path) -> dict[str, Any] | None:
    """The contents of run.json or result.json, or None if it is not there."""
    if not path.exists():
        return None
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInput(f"{path} is damaged ({error}): move it away, or put a whole one in its place") from error
    if not isinstance(contents, dict):
        raise BadInput(f"{path} is damaged (no names and values): move it away, or put a whole one in its place")
    return contents


def refuse_other_data(folder: Path, data: str) -> None:
    """Raises BadInput if the run in a folder was begun on other data than this."""
    info = read_json(folder / "run.json")
    if info and info.get("data") != data:
        raise BadInput(
            f"{folder} holds a run on {info.get('data')}, not on {data}: give --run another folder, or move this one"
        )


def write_json(path: Path, contents: dict[str, Any]) -> None:
    write_text(path, json.dumps(contents, indent=1, ensure_ascii=False) + "\n")


def refuse_other_configuration(folder: Path, now: dict[str, Any]) -> None:
    """Raises BadInput if the run in a folder was begun with other settings than those of a configuration."""
    before = read_config(folder)
    if before is not None and (difference := first_difference(before, now)):
        raise BadInput(
            f"{folder} holds a run of another configuration ({difference}): give --run another folder, or move this one"
        )


def refuse_earlier_name(folder: Path, experiment: str, changes: Sequence[str], seed: int, now: dict[str, Any]) -> None:
    """Raises BadInput if this run was begun in a folder whose name did not say everything yet."""
    earlier = run_folder(experiment, [change for change in changes if not change.startswith(ONCE_UNNAMED)], seed)
    if earlier == folder or folder.exists():
        return
    before = read_config(earlier)
    if before is not None and not first_difference(before, now):
        raise BadInput(f"{earlier} holds this run, which has a name of its own now: move it to {folder} to go on")


def read_config(folder: Path) -> dict[str, Any] | None:
    """The configuration of the run in a folder, or None if there is none; BadInput if its config.yaml is damaged."""
    path = folder / "config.yaml"
    if not path.exists():
        return None
    check_yaml(path)
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return config


def check_yaml(path: Path) -> None:
    """Names the configuration file that holds no settings, and a mistake's place in it, which jsonargparse does not."""
    contents = read_yaml(path)
    if not isinstance(contents, dict):
        raise BadInput(f"{path} holds no settings: expected names and values, such as trainer: {{max_steps: 300}}")
    if not isinstance(contents.get("trainer", {}), dict):
        raise BadInput(
            f"{path} has trainer {contents['trainer']}: expected names and values, such as {{max_steps: 300}}"
        )


def read_yaml(path: Path) -> Any:
    """The contents of a YAML file; BadInput if there is none, or something else."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not valid YAML: {error}") from error
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist (the working folder is {Path.cwd()})") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
