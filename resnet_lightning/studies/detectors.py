"""What tables 7 and 8 share: the rows of detectors, the table of classes, and the figures."""

from __future__ import annotations

import io
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from resnet_lightning.reporting.cells import NOTHING, last_values, mean_and_deviation, measured_last
from resnet_lightning.reporting.curves import TEXT_SIZE, quiet
from resnet_lightning.reporting.setting_tables import as_table
from resnet_lightning.reporting.settings import Setting, by_network, groups
from resnet_lightning.runs.folder import DETECTIONS, PICTURES
from resnet_lightning.runs.reading import Run, read_json_or_nothing

if TYPE_CHECKING:  # matplotlib is imported when something is drawn
    from matplotlib.figure import Figure

    from resnet_lightning.reporting.table import Table

Published = Mapping[str, Mapping[str, float]]
WORDS = {"mAP": "mAP", "mAP50": "mAP@.5"}
SHADES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")  # of Okabe and Ito
SHOWN = 8  # pictures of a figure
JOINT = (
    "The paper trained proposals and regions in four steps; here, as in all re-runs, they are trained together. "
    "Re-runs with today's recipes reach 79 to 80 % mAP on VOC 2007 with ResNet-101, above the paper's numbers."
)


def detector(backbone: str) -> str:
    """The name of a detector around a classification network.

    >>> detector("ResNet-101")
    'ResNet-101 Faster R-CNN'
    """
    return f"{backbone} Faster R-CNN"


def row(setting: Setting, name: str, own: Sequence[Run], published: Published) -> dict[str, str]:
    """The cells of a detector: ours, the paper's, and the difference in points, for each measure.

    Args:
        published: by measure (mAP, mAP50) and detector; without any, a measure has no column for them.
    """
    cells = {"Network": name}
    for measure, of in published.items():
        words = WORDS[measure]
        cells[f"{words} %"] = measured_last(own, f"test/{measure}")
        if not of:
            continue
        cells[f"Published {words} %"] = f"{of[name]:.1f}" if name in of and setting.papers else NOTHING
        values = last_values(own, f"test/{measure}")
        compared = setting.full and values and name in of
        cells[f"{words}, ours − paper's"] = f"{sum(values) / len(values) - of[name]:+.1f}" if compared else NOTHING
    return cells | {"Training loss": measured_last(own, "train/loss"), "Seeds": str(len(own)) if own else NOTHING}


def class_tables(title: str, runs: Sequence[Run], published: Published, note: str) -> list[Table]:
    """Average precision of each class that has objects, of finished runs, a table per setting; none without runs.

    Args:
        published: by detector and class, percent.
        note: below the table, where there is something published in it.
    """
    found = []
    for setting, group in groups([run for run in runs if not run.weights]):
        own = {name: aps for name, seeds in by_network(group).items() if (aps := average_precisions(seeds))}
        classes = list(dict.fromkeys(each for aps in own.values() for each, values in aps.items() if values))
        rows = [class_row(each, own, published) for each in classes]
        if rows:
            label = f"{title}. {setting.title}" if setting.full else f"Classes. {setting.title}"
            found.append(as_table(label, setting, rows, [note if published.keys() & own.keys() else ""]))
    return found


def class_row(label: str, own: Mapping[str, Mapping[str, list[float]]], published: Published) -> dict[str, str]:
    """The cells of a class: for each detector, ours and the paper's if it has one."""
    cells = {"Class": label}
    for name, aps in own.items():
        cells[f"{name} AP %"] = mean_and_deviation(aps[label]) if aps.get(label) else NOTHING
        if name in published:
            theirs = published[name].get(label)
            cells[f"Published {name} AP %"] = NOTHING if theirs is None else f"{theirs:.1f}"
    return cells


def average_precisions(runs: Sequence[Run]) -> dict[str, list[float]]:
    """The AP (percent) of each class by finished runs' detections.json; empty for a class without objects."""
    found: dict[str, list[float]] = {}
    for run in runs:
        classes = read_json_or_nothing(run.folder / DETECTIONS).get("classes", {}) if run.state == "finished" else {}
        for name, contents in classes.items():
            found.setdefault(name, []).extend([contents["ap"]] if contents["ap"] is not None else [])
    return found


def draw_curves(runs: Sequence[Run]) -> Figure | None:
    """Training loss and mAP by iteration, a line for each run, of runs of one setting."""
    from matplotlib.figure import Figure

    if not any(run.curve("train/loss")[0] for run in runs):
        return None
    figure = Figure(figsize=(6.2, 2.7), layout="constrained")
    panels = zip(figure.subplots(1, 2), ("train/loss", "test/mAP"), ("training loss", "mAP (%)"), strict=True)
    for axes, column, label in panels:
        for shade, (name, own) in zip(SHADES, by_network(runs).items(), strict=False):
            for number, run in enumerate(own):
                axes.plot(*run.curve(column), color=shade, linewidth=1.1, label=None if number else name)
        quiet(axes)
        axes.set_xlabel("iterations", fontsize=TEXT_SIZE, labelpad=1)
        axes.set_ylabel(label, fontsize=TEXT_SIZE, labelpad=1)
        axes.set_ylim(bottom=0)
    figure.axes[0].legend(fontsize=TEXT_SIZE - 0.5, frameon=False)
    return figure


def draw_precision(runs: Sequence[Run]) -> Figure | None:
    """Precision by recall of each class, of each network's first finished run."""
    import numpy as np

    from resnet_lightning.reporting.detection import ClassCurve, precision_recall

    found: dict[str, dict[str, ClassCurve]] = {}
    for name, own in by_network(runs).items():
        for run in own:
            classes = read_json_or_nothing(run.folder / DETECTIONS).get("classes", {})
            curves = {
                each: ClassCurve(np.array(contents["recall"]), np.array(contents["precision"]), contents["ap"])
                for each, contents in classes.items()
                if "recall" in contents
            }
            if curves:
                found.setdefault(name, curves)
    return precision_recall(found) if found else None


def draw_detections(runs: Sequence[Run]) -> Figure | None:
    """Some tested images with what the deepest network has found in them."""
    import numpy as np
    import torch
    from PIL import Image

    from resnet_lightning.reporting.detection import Picture, detections

    def tensors(boxes: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        return {name: torch.tensor(values) for name, values in boxes.items()}

    kept = [read_json_or_nothing(run.folder / PICTURES) for run in sorted(runs, key=lambda run: -run.depth)]
    for contents in filter(None, kept):
        pictures = []
        for each in contents["pictures"][:SHOWN]:
            pixels = torch.from_numpy(np.array(Image.open(io.BytesIO(b64decode(each["jpeg"])))))
            pictures.append(Picture(pixels.permute(2, 0, 1) / 255, tensors(each["there"]), tensors(each["found"])))
        return detections(pictures, contents["class_names"])
    return None
