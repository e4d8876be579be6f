"""The experiments folder, here or in the package: which files are an experiment, and which runs are as shipped."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader

from resnet_lightning.errors import BadInput
from resnet_lightning.runs.identity import callbacks_of, flat, listed, not_watching, only_watches, settings

EXPERIMENTS = "experiments"
PACKAGED = Path(__file__).parents[1] / EXPERIMENTS


def experiment_files(experiment: str) -> list[Path]:
    """The files of an experiment, such as cifar10/table6/resnet20: the base.yaml nearest to it, if any, and its own."""
    leaf = Path(EXPERIMENTS, f"{experiment}.yaml")
    bases = (find_file(folder / "base.yaml") for folder in leaf.parents[:-1])
    base = next((path for path in bases if path.exists()), None)
    return [base, find_file(leaf)] if base else [find_file(leaf)]


def experiment_name(given: str) -> str:
    """The name of an experiment, cifar10/table6/resnet20, that is given by name or as experiments/….yaml.

    Raises:
        BadInput: if it has no file in the experiments folder.
    """
    name = below_experiments(given)
    if Path(name).is_absolute() or ".." in Path(name).parts or not experiment_files(name)[-1].is_file():
        raise BadInput(
            f"{given}: there is no such experiment; expected a file below {EXPERIMENTS}/, such as "
            f"{EXPERIMENTS}/digits/resnet20.yaml (`resnet-lightning new` writes one)"
        )
    return name


def below_experiments(given: str) -> str:
    """A path without the experiments folder and .yaml."""
    path = Path(given)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    parts = (path.with_suffix("") if path.suffix in (".yaml", ".yml") else path).parts
    return "/".join(parts[1:] if parts[:1] == (EXPERIMENTS,) else parts)


def find_file(path: Path) -> Path:
    """A file of the experiments folder here or, where there is none, the one that came with the package."""
    if path.exists() or path.parts[:1] != (EXPERIMENTS,):
        return path
    packaged = PACKAGED.joinpath(*path.parts[1:])
    return packaged if packaged.exists() else path


def longer(files: Sequence[Path]) -> float:
    """By how much the iterations of an experiment exceed those of its base.yaml, the first of its files."""
    own, base = (merged(some)["trainer"]["max_steps"] for some in (files, files[:1]))
    return float(own / base)


def as_shipped(info: dict[str, Any], config: str) -> bool:
    """Whether a run is one of the experiments as they are in the experiments folder, whatever its seed.

    Args:
        info: the contents of its run.json or result.json; runs of this version say it there.
        config: the text of its config.yaml.
    """
    if "as_shipped" in info:
        return bool(info["as_shipped"])
    return not info["changes"] and is_shipped(config, info["experiment"])


def is_shipped(config: str, experiment: str) -> bool:
    """Whether a run's config.yaml has the value of each setting that an experiment's files name, and no other callback.

    What the files do not name is not known here: a run that changes it says so in its name.
    """
    run = yaml.safe_load(config) or {}
    found = settings(run)
    named = dict(shipped_settings(experiment))
    if not named or run.get("ckpt_path"):  # begun with weights from elsewhere
        return False
    if named.get("trainer.max_steps") == -1:  # the length follows the data
        del named["trainer.max_steps"]
    named.setdefault("trainer.callbacks", None)
    return all(found.get(key) == value for key, value in named.items())


def shipped_settings(experiment: str) -> dict[str, Any]:
    """The settings that an experiment's files name, without the seed; nothing if there are no such files."""
    files = experiment_files(experiment)
    config = merged(files)
    return named_settings(config) if config and files[-1].is_file() else {}


def named_settings(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of the experiment that a configuration names, by dotted name, without seed and precision."""
    others = not_watching(callbacks_of(config))
    named = {key: value for key, value in flat(config) if not only_watches(key, value, not others)}
    for key in ("seed_everything", "trainer.precision"):
        named.pop(key, None)
    return named | ({"trainer.callbacks": others} if others else {})


def merged(files: Iterable[Path]) -> dict[str, Any]:
    """Configuration files laid over each other as jsonargparse does it; one that cannot be read counts as empty."""
    config: dict[str, Any] = {}
    for path in files:
        try:
            above = parsed(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            continue  # said well when the command line is parsed
        config = laid_over(config, above) if isinstance(above, dict) else config
    return config


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Settings with others over them: lists replace, or are appended by name+; another class brings its own options."""
    result = dict(below)
    for name, value in above.items():
        before = result.get(name)
        if str(name).endswith("+"):
            result[name[:-1]] = [*listed(result.get(name[:-1])), *listed(value)]
        elif isinstance(before, dict) and isinstance(value, dict):
            same = before.get("class_path") == value.get("class_path", before.get("class_path"))
            result[name] = laid_over(before, value) if same else value
        else:
            result[name] = value
    return result


def parsed(text: str) -> Any:
    """YAML as the command line reads it, where 1e-1 is a number; the text itself where it is none."""
    try:
        return get_loader("yaml")(text)
    except (yaml.YAMLError, TypeError):  # TypeError: of a lone number before a colon (jsonargparse 4.53)
        return text
