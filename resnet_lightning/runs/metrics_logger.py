"""The logger that writes a run's metrics.csv: one row per iteration at which anything was measured."""

import time
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from resnet_lightning.files import write_text
from resnet_lightning.runs.locks import check_lock
from resnet_lightning.runs.metrics_file import format_metrics, read_metrics

SECONDS_BETWEEN_WRITES = 2.0


class MetricsFile(Logger):
    """Rows of metrics by completed iterations; an empty cell was not measured there.

    Lightning's CSVLogger deletes the file of an interrupted run when it goes on; this one keeps the rows up to the
    first new one, and drops those that come after it, since they will be measured again.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.rows: dict[int, dict[str, Any]] | None = None
        self.written = 0.0

    @property
    def name(self) -> str:
        return self.path.parent.name

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """The configuration is in config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        iteration = int(step or 0)
        if self.rows is None:
            self.rows = {number: row for number, row in read_metrics(self.path).items() if number <= iteration}
        self.rows.setdefault(iteration, {}).update({name: f"{value:.6g}" for name, value in metrics.items()})
        if time.monotonic() - self.written > SECONDS_BETWEEN_WRITES:
            self.save()

    @rank_zero_only
    def save(self) -> None:
        if not self.rows:
            return
        check_lock(self.path.parent)
        write_text(self.path, format_metrics(self.rows))
        self.written = time.monotonic()

    def finalize(self, status: str) -> None:
        self.save()
