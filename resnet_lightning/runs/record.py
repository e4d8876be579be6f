"""What a run says of itself: config.yaml and run.json when it starts, result.json when it is over."""

import platform
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import lightning
import torch
import yaml
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Timer

import resnet_lightning
from resnet_lightning.data import protocol
from resnet_lightning.errors import BadInput
from resnet_lightning.files import write_text
from resnet_lightning.networks.inspection import about
from resnet_lightning.runs.checkpoints import checkpoint_file, checksum_file
from resnet_lightning.runs.folder import read_json, refuse_other_data, write_json
from resnet_lightning.runs.identity import configuration_hash
from resnet_lightning.runs.locks import check_lock
from resnet_lightning.runs.metrics_file import read_metrics
from resnet_lightning.training.devices import device_name
from resnet_lightning.training.module import NetworkModule


@runtime_checkable
class Tracker(Protocol):
    """A logger that follows a run elsewhere: beside metrics it is told the result, and when all is over."""

    def summarise(self, values: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class RunRecord(Timer):
    """Writes the run's own files; as a Timer it counts the training time over all interruptions.

    Args:
        folder: of the run.
        identity: experiment, changes and seed.
        config: the whole configuration, as YAML.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], config: str) -> None:
        super().__init__()
        self.folder = folder
        self.identity = identity
        self.config = config
        self.sessions: list[dict[str, Any]] = []

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        super().on_train_start(trainer, pl_module)
        info = self.describe(trainer, pl_module)
        refuse_other_data(self.folder, info["data"])
        if trainer.is_global_zero:
            earlier = (read_json(self.folder / "run.json") or {}).get("sessions", [])
            session = {"started": now(), "from_iteration": trainer.global_step, "host": socket.gethostname()}
            self.sessions = [*earlier, session | {"device": info["device"], **code_version()}]
            write_text(self.folder / "config.yaml", self.config)
            write_json(self.folder / "run.json", info | {"sessions": self.sessions})
            for logger in trainer.loggers:
                logger.log_hyperparams(info)  # W&B's config

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # As LightningCLI does, so that load_from_checkpoint makes the module again.
        settings = yaml.safe_load(self.config)["model"]
        instantiator = {"_instantiator": "lightning.pytorch.cli.instantiate_module"}
        checkpoint["hyper_parameters"] = settings | instantiator

    def describe(self, trainer: Trainer, pl_module: NetworkModule) -> dict[str, Any]:
        """Everything that is known before the first iteration."""
        network = pl_module.network
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        return {
            **self.identity,
            **about(network),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "iterations": trainer.max_steps,
            "batch_size": protocol.batch_size(data),
            "data": protocol.title(data),
            "train_images": protocol.size(data, "train"),
            "val_images": protocol.size(data, "val"),
            "test_images": protocol.size(data, "test"),
            "device": device_name(trainer.strategy.root_device),
            "devices": trainer.world_size,
            "threads": torch.get_num_threads() if trainer.strategy.root_device.type == "cpu" else None,
            "precision": trainer.precision,
            "config_hash": configuration_hash(self.config),
            "versions": {
                "resnet_lightning": resnet_lightning.__version__,
                "torch": torch.__version__,
                "cuda": torch.version.cuda if trainer.strategy.root_device.type == "cuda" else None,
                "lightning": lightning.__version__,
                "python": platform.python_version(),
            },
        }

    def finish(self, trainer: Trainer, pl_module: NetworkModule, state: str, iteration: int) -> dict[str, Any]:
        """Writes result.json: errors or mAP (percent) at the last iteration, not the best ones."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        rows = read_metrics(self.folder / "metrics.csv")
        trained, measure = f"train/{pl_module.train_measure}", pl_module.measure
        if state == "finished" and trained not in rows.get(iteration, {}):
            raise BadInput(
                f"{self.folder / 'metrics.csv'} has no training {pl_module.train_measure} of iteration {iteration:,}: "
                "put a whole one in its place, or move the run away"
            )
        measures = (measure, *pl_module.other_measures)
        curves = {
            column: [float(row[column]) for _, row in sorted(rows.items()) if column in row]
            for column in (trained, *(f"{of}/{name}" for of in ("val", "test") for name in measures))
        }
        info = self.describe(trainer, pl_module)
        result = info | {"state": state, "iteration": iteration, "sessions": self.sessions, "finished": now()}
        checksum = checksum_file(checkpoint_file(self.folder, iteration))
        if checksum.exists():
            result["checkpoint_sha256"] = checksum.read_text(encoding="utf-8").split(" ")[0]
        for column, curve in curves.items():
            if curve:
                result[column.replace("/", "_")] = curve[-1] if state == "finished" else None
        if damaged := protocol.damaged_images(data):
            result["damaged_images"] = damaged
        if tested := curves[f"test/{measure}"]:
            result[f"best_test_{measure}"] = max(tested) if pl_module.higher_is_better else min(tested)
        result["seconds"] = round(self.time_elapsed("train"), 1)
        check_lock(self.folder)
        write_json(self.folder / "result.json", result)
        for logger in trainer.loggers:
            if isinstance(logger, Tracker):
                logger.summarise({name: value for name, value in result.items() if name not in {*info, "sessions"}})
        return result


def now() -> str:
    """The time, in seconds and UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def code_version() -> dict[str, Any]:
    """The commit of this package's repository, and whether its files differ from it; nothing outside a repository."""
    source = Path(resnet_lightning.__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(source), *arguments]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(resnet_lightning.__file__).name)  # not of a repository around .venv
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
