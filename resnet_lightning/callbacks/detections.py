"""What a detector has found in the test images, in its run's folder: each class's precision, and some images."""

import io
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from PIL import Image
from torch import Tensor

from resnet_lightning.data.protocol import evaluation
from resnet_lightning.runs.folder import DETECTIONS, PICTURES, make_folder, write_json
from resnet_lightning.runs.locks import check_lock
from resnet_lightning.training.detection.average_precision import IMPROVED
from resnet_lightning.training.detection.voc_ap import Curve

POINTS = 200  # of a curve: more than a figure shows


class Detections(Callback):
    """Writes detections.json and pictures.json when a detector was tested: at the end of a run, and by `test`.

    Not of what appendix B improves, so that classes and pictures are those of the mAP in the run's tables.

    The first holds the average precision of each class and its precision by recall, the second some tested images with
    what is there and what was found; it is not for publication, since the images are not.
    """

    def on_test_end(self, trainer: Trainer, pl_module: Any) -> None:
        measured = pl_module.measured_last
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if not trainer.is_global_zero or measured is None or evaluation(data) in IMPROVED:
            return
        folder = Path(trainer.default_root_dir)
        make_folder(folder)  # weights from elsewhere have none yet
        check_lock(folder)
        classes = {
            name: {"ap": number(ap), **points(measured.curves.get(name))} for name, ap in measured.classes.items()
        }
        iteration = trainer.global_step or pl_module.trained  # `test` has trained nothing itself
        write_json(folder / DETECTIONS, {"iteration": iteration, "metric": data.metric, "classes": classes})
        pictures = [picture(*kept) for kept in pl_module.pictures]
        write_json(folder / PICTURES, {"class_names": list(data.class_names), "pictures": pictures})


def number(value: float) -> float | None:
    """JSON knows no NaN, which is the AP of a class without objects."""
    return round(value, 4) if value == value else None


def points(curve: Curve | None) -> dict[str, list[float]]:
    """A curve's recall and precision, at some of its points; nothing without objects."""
    if curve is None or not curve.positives:
        return {}
    step = max(1, len(curve.recall) // POINTS)
    return {name: getattr(curve, name)[step - 1 :: step].round(4).tolist() for name in ("recall", "precision")}


def picture(pixels: Tensor, there: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, Any]:
    """An image [3, H, W] as JPEG, and its boxes."""
    file = io.BytesIO()
    Image.fromarray((pixels * 255).round().byte().permute(1, 2, 0).numpy()).save(file, "JPEG", quality=85)
    return {
        "jpeg": b64encode(file.getvalue()).decode(),
        "there": {name: there[name].tolist() for name in ("boxes", "labels", "difficult")},
        "found": {name: found[name].tolist() for name in ("boxes", "labels", "scores")},
    }
