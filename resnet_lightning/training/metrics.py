"""Loss and errors of one set of images, over batches and devices."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric, SumMetric


class SetMetrics(nn.Module):
    """Mean loss (nats), mean errors (percent) and number of images of one set, over all devices.

    Args:
        top5: the top-5 error too.
    """

    def __init__(self, top5: bool = False) -> None:
        super().__init__()
        # Looking for NaN would wait for the device at every update.
        self.loss = MeanMetric(nan_strategy="disable")
        self.error = MeanMetric(nan_strategy="disable")
        self.top5_error = MeanMetric(nan_strategy="disable") if top5 else None
        self.images = SumMetric(nan_strategy="disable")

    def evaluate(self, scores: Tensor, labels: Tensor) -> None:
        """Counts images by their class scores [B, classes] and labels [B]."""
        self.update(F.cross_entropy(scores, labels), scores.argmax(1) != labels)
        if self.top5_error is not None:
            best = scores.topk(min(5, scores.shape[1])).indices
            self.top5_error.update(100.0 * (best != labels[:, None]).all(1))

    def update(self, loss: Tensor, mistakes: Tensor) -> None:
        """Counts images by their mean loss [] and whether each was mistaken [B]."""
        images = torch.full((), float(len(mistakes)), device=mistakes.device)  # a plain number would be waited for
        self.loss.update(loss.detach(), weight=images)
        self.error.update(100.0 * mistakes)
        self.images.update(images)

    def compute(self) -> dict[str, float]:
        """The values, which start again; nothing if no image was counted."""
        metrics = {"loss": self.loss, "error": self.error, "images": self.images}
        if self.top5_error is not None:
            metrics["top5_error"] = self.top5_error
        if not self.images.update_called:
            return {}
        values = {name: float(metric.compute()) for name, metric in metrics.items()}
        for metric in metrics.values():
            metric.reset()
        return values
