"""A run is a folder, runs/<experiment>[@<changes>]/seed<N>/: what is in it, and how it gets its name.

config.yaml, run.json (what the run is), metrics.csv, checkpoints/, and result.json, written last: with it the run is
finished, whatever happened.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from resnet_lightning.errors import BadInput
from resnet_lightning.files import write_text

RUNS = Path("runs")
RESULTS = Path("results")  # of runs that are over, as `keep` writes them: in the same folders, without weights
EXPERIMENTS = "experiments"
RESPONSES, GRADIENTS, LESIONS = "responses.csv", "gradients.csv", "lesions.json"  # of every layer, or block
# Options that leave the experiment what it is: where it reads, where it runs, how often it looks.
NOT_A_CHANGE = re.compile(
    r"seed_everything|run|ckpt_path|checkpoint_every|print_config|model\.bn_batches|"
    r"data\.(root|download|evaluation|val_map|skip_damaged|workers)|"
    r"trainer\.(accelerator|strategy|log_every_n_steps|val_check_interval|enable_\w+|profiler|callbacks.*)"
)


def describe(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The experiment that a command line runs, and what the command line changes in it.

    The experiment is the first configuration file that is not a base.yaml, named from the experiments folder on. Other
    files (by their name) and options (as name=value) after it are changes.

    >>> describe(["--config", "experiments/cifar10/base.yaml", "--config", "experiments/cifar10/table6/resnet20.yaml",
    ...           "--trainer.max_steps=6000", "--seed_everything=1"])
    ('cifar10/table6/resnet20', ['max_steps=6000'])
    """
    given = [(name.replace("init_args.", ""), value) for name, value in split_options(arguments) if name != "config"]
    changed = [(name, value) for name, value in given if not NOT_A_CHANGE.fullmatch(name)]
    options = [f"{name.rpartition('.')[2]}={value}".replace("/", "_") for name, value in dict(changed).items()]
    leaves = [path for path in config_files(arguments) if path.stem != "base"]
    if not leaves:
        return "unnamed", sorted(options)
    parts = leaves[0].with_suffix("").parts
    below = len(parts) - parts[::-1].index(EXPERIMENTS) if EXPERIMENTS in parts else -1
    return "/".join(parts[below:]), sorted(options) + [path.stem for path in leaves[1:]]


def split_options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and value of each option of a command line, whether written --name=value or --name value."""
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("-"):
            continue
        if not equals and rest and not rest[0].startswith("--"):
            value = rest.pop(0)
        yield ("config" if name == "-c" else name.lstrip("-")), value


def config_files(arguments: Sequence[str]) -> list[Path]:
    """The configuration files of a command line, in order."""
    return [Path(value) for name, value in split_options(arguments) if name == "config" and value]


def run_folder(experiment: str, changes: Sequence[str], seed: int) -> Path:
    """Where a run lives: what the command line changes, and the seed, are in the name."""
    name = experiment + ("@" + ",".join(changes) if changes else "")
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
        contents = json.loads(path.read_text())
    except ValueError as error:
        raise BadInput(f"{path} is damaged ({error}): delete it") from error
    if not isinstance(contents, dict):
        raise BadInput(f"{path} is damaged (no names and values): delete it")
    return contents


def refuse_other_data(folder: Path, data: str) -> None:
    """Raises BadInput if the run in a folder was begun on other data than this."""
    info = read_json(folder / "run.json")
    if info and info.get("data") != data:
        raise BadInput(f"{folder} holds a run on {info.get('data')}, not on {data}: move it or delete it")


def write_json(path: Path, contents: dict[str, Any]) -> None:
    write_text(path, json.dumps(contents, indent=1, ensure_ascii=False) + "\n")


def refuse_other_configuration(folder: Path, now: dict[str, Any]) -> None:
    """Raises BadInput if the run in a folder was begun with other settings than those of a configuration."""
    path = folder / "config.yaml"
    if not path.exists():
        return
    check_yaml(path)
    before = yaml.safe_load(path.read_text()) or {}
    if not isinstance(before, dict):
        raise BadInput(f"{path} is damaged (no names and values): delete {folder}")
    if difference := first_difference(before, now):
        raise BadInput(
            f"{folder} holds a run of another configuration ({difference}): give --run another folder, or move or "
            "delete this one"
        )


def first_difference(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> str | None:
    """The first setting, in words, in which two configurations differ, but for where and how a run is carried out."""
    for name in sorted(before.keys() | now.keys()):
        key = f"{prefix}{name}"
        if not is_part_of_experiment(key):
            continue
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            if difference := first_difference(old, new, f"{key}."):
                return difference
        elif old != new:
            return f"{key} was {old}, is {new}"
    return None


def is_part_of_experiment(key: str) -> bool:
    """Whether a setting says what a run is, and not where and how it is carried out."""
    where = NOT_A_CHANGE.fullmatch(key.replace("init_args.", "")) or key == "trainer.precision"
    return not where or key == "seed_everything"


def configuration_hash(config: str) -> str:
    """SHA-256 of the settings of a config.yaml that say what the run is: equal for runs of one experiment and seed."""

    def flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
        for name, value in settings.items():
            if isinstance(value, dict):
                yield from flat(value, f"{prefix}{name}.")
            elif is_part_of_experiment(prefix + name):
                yield prefix + name, value

    return hashlib.sha256(json.dumps(sorted(flat(yaml.safe_load(config) or {}))).encode()).hexdigest()


def check_yaml(path: Path) -> None:
    """Names the file and the place of a mistake in YAML, which jsonargparse does not."""
    try:
        yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not valid YAML: {error}") from error
    except OSError:
        pass  # that is said well when it is parsed
