"""Layer responses (figure 7): the standard deviation of every layer's output on the test set, while training too."""

import math
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from resnet_lightning.compat import exchange_compiled
from resnet_lightning.networks.inspection import layers
from resnet_lightning.runs.folder import RESPONSES, make_folder
from resnet_lightning.runs.metrics_file import read_metrics
from resnet_lightning.runs.metrics_logger import MetricsFile


class Moments:
    """Counts, sums and sums of squares of tensors by name, over batches and processes."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}

    def add(self, name: str, values: Tensor) -> None:
        """Counts all elements of a tensor."""
        exact = torch.promote_types(values.dtype, torch.float32)
        squares = torch.linalg.vector_norm(values, dtype=exact).double().square()
        total = values.sum(dtype=exact).double()
        new = torch.stack((torch.full_like(total, values.numel()), total, squares))
        # In float64, since a test set has hundreds of millions of responses.
        self.sums[name] = self.sums[name].add_(new) if name in self.sums else new

    def compute(self) -> dict[str, tuple[float, float]]:
        """Standard deviation and root mean square of each name's elements."""
        table = torch.stack(list(self.sums.values()))
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(table)
        found = {}
        for name, (count, total, squares) in zip(self.sums, table.tolist(), strict=True):
            mean, square = total / count, squares / count
            variance = square - mean**2
            # A network without batch normalisation may have answered with infinities.
            found[name] = (math.sqrt(max(0.0, variance)) if variance == variance else math.nan, math.sqrt(square))
        return found


class LayerResponses(Callback):
    """Writes responses.csv in the run's folder: at each evaluation, the standard deviation of every layer's output.

    It is taken after batch normalisation and before the ReLU or the addition, over all images, positions and channels
    of the test set (of the validation set where there is no other) that the evaluation looks at anyway. Of other views
    than the centre nothing is written. `test` of a checkpoint adds its iteration, if that is not there yet.
    """

    def __init__(self) -> None:
        self.moments = Moments()
        self.hooks: list[Any] = []
        self.file: MetricsFile | None = None
        self.looking = False  # whether the current batch is one of the images that count
        self.compiled: Any = None

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.moments = Moments()
        # The code that torch.compile has made would not call the hooks.
        self.compiled = exchange_compiled(pl_module.network, None)
        for name, layer in layers(pl_module.network).items():
            self.hooks.append(layer.response.register_forward_hook(partial(self._look, name)))

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        names = pl_module.validation_sets()
        wanted = "test" if "test" in names else "val"
        self.looking = isinstance(batch[0], Tensor) and names[dataloader_idx] == wanted

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        exchange_compiled(pl_module.network, self.compiled)
        for hook in self.hooks:
            hook.remove()
        self.hooks = []
        if not self.moments.sums or trainer.sanity_checking:
            return
        iteration = trainer.global_step or pl_module.trained  # `test` has trained nothing itself
        deviations = {name: deviation for name, (deviation, _) in self.moments.compute().items()}
        if not trainer.is_global_zero:
            return
        path = Path(trainer.default_root_dir) / RESPONSES
        rows = None if trainer.global_step else read_metrics(path)
        if rows and iteration in rows:
            return
        make_folder(path.parent)  # weights from elsewhere have none yet
        self.file = self.file or MetricsFile(path)
        self.file.rows = rows or self.file.rows  # without all of them, those after this iteration would go
        self.file.log_metrics(deviations, iteration)
        self.file.save()
        values = list(deviations.values())
        row = {"response/first": values[0], "response/median": median(values), "response/last": values[-1]}
        for logger in trainer.loggers:
            logger.log_metrics(row, step=iteration)

    def on_test_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.on_validation_start(trainer, pl_module)

    def on_test_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, *_: Any) -> None:
        self.looking = isinstance(batch[0], Tensor)

    def on_test_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.on_validation_end(trainer, pl_module)

    def _look(self, name: str, module: Any, inputs: Any, output: Tensor) -> None:
        if self.looking:
            self.moments.add(name, output)
