"""Made-up run folders for the tests of reports, and the rows of their tables."""

import json
from pathlib import Path
from typing import Any

import yaml
from conftest import REPOSITORY

from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, load_runs


def write_run(
    root: Path, network: str, train: float = 1.0, test: float = 9.0, seed: int = 0, state: str = "finished", **info: Any
) -> Path:
    """A run folder whose errors (percent) fall to train and test; unfinished and diverged ones stop halfway.

    Its configuration is that of the experiment.
    """
    family, depth = network.split()[0].split("-")
    experiment = f"cifar10/{'figure6/plain' if family == 'plain' else 'table6/resnet'}{depth}"
    info = {
        **{"experiment": experiment, "seed": seed, "network": network, "depth": int(depth), "parameters": 269_722},
        **{"shortcut": "none" if family == "plain" else "A", "iterations": 64_000, "changes": []},
        **{"data": "CIFAR-10 (JPEG)", "train_images": 50_000, "test_images": 10_000, **info},
    }
    folder = root / "@".join([experiment, *[",".join(info["changes"])] * bool(info["changes"])]) / f"seed{seed}"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(info))
    write_config(folder, info["experiment"])
    step = info["iterations"] // 8
    rows = [f"{n * step},{train + 8 - n},{test + 8 - n if n % 2 == 0 else ''}\n" for n in range(1, 9)]
    rows = rows if state == "finished" else rows[:5]
    (folder / "metrics.csv").write_text("iteration,train/error,test/error\n" + "".join(rows))
    errors = {"train_error": train, "test_error": test} if state == "finished" else dict.fromkeys(("test_error",))
    result = {**info, "state": state, "iteration": step * len(rows), **errors, "best_test_error": test - 1}
    if state != "unfinished":
        (folder / "result.json").write_text(json.dumps(result))
    return folder


def write_config(folder: Path, experiment: str, **changes: Any) -> None:
    """The configuration of an experiment as a run has it, with other values for some settings of its trainer."""
    experiments = REPOSITORY / "experiments"
    config: dict[str, Any] = yaml.safe_load((experiments / experiment.split("/")[0] / "base.yaml").read_text())
    leaf = experiments / f"{experiment}.yaml"
    merge(config, yaml.safe_load(leaf.read_text()) if leaf.exists() else {})
    config["trainer"] |= changes
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = value


def load(root: Path) -> list[Run]:
    families, depths = ("figure6/plain", "table6/resnet"), (20, 32, 44, 56, 110, 1202)
    return load_runs([f"cifar10/{family}{depth}" for family in families for depth in depths], root)


def row(table: Table, network: str) -> dict[str, str]:
    [cells] = [cells for cells in table.rows if cells[0] == network]
    return dict(zip(table.columns, cells, strict=True))
