"""Whether a run's configuration is that of a shipped experiment."""

from pathlib import Path
from typing import Any

import yaml

from resnet_lightning.runs.folder import EXPERIMENTS, is_part_of_experiment


def is_shipped(config: str, experiment: str) -> bool:
    """Whether the settings of a config.yaml are those of an experiment's file and of the base below it."""
    leaf = Path(__file__).parents[2] / EXPERIMENTS / f"{experiment}.yaml"
    base = next((folder / "base.yaml" for folder in leaf.parents if (folder / "base.yaml").exists()), leaf)
    try:
        given = yaml.safe_load(config)
        return all(_agrees(yaml.safe_load(path.read_text(encoding="utf-8")), given, "") for path in (base, leaf))
    except (OSError, yaml.YAMLError):
        return False


def _agrees(shipped: Any, given: Any, prefix: str) -> bool:
    if not isinstance(shipped, dict):
        return bool(shipped == given)
    return isinstance(given, dict) and all(
        not is_part_of_experiment(prefix + name) or _agrees(value, given.get(name), f"{prefix}{name}.")
        for name, value in shipped.items()
    )
