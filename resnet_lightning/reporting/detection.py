"""What detectors find: precision by recall of each class, and images with boxes, classes and scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from resnet_lightning.reporting.curves import TEXT_SIZE

if TYPE_CHECKING:  # matplotlib and torch are imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from torch import Tensor

TRUTH, FOUND = "#009E73", "#D55E00"  # of Okabe and Ito: told apart by colour-blind readers
DETECTORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")
LEAST_SCORE = 0.5  # of the detections that are drawn
NAMED = 0.07  # of the image's longer side: words would hide a smaller box


class ClassCurve(NamedTuple):
    """Precision by recall of one class, fractions [D], and its average precision, percent."""

    recall: NDArray[Any]
    precision: NDArray[Any]
    ap: float


class Picture(NamedTuple):
    """A tested image.

    Args:
        pixels: float32 [3, H, W], from 0 to 1.
        target: boxes [N, 4] in pixels and labels [N], from 1 on; if there is difficult [N], such are marked.
        prediction: boxes [D, 4], labels [D] and scores [D].
    """

    pixels: Tensor
    target: Mapping[str, Tensor]
    prediction: Mapping[str, Tensor]


def precision_recall(detectors: Mapping[str, Mapping[str, ClassCurve]], columns: int = 5) -> Figure:
    """A panel for each class that has objects, with a line for each detector; by detector and class."""
    from matplotlib.figure import Figure

    curves = [own for classes in detectors.values() for own in classes.items()]
    classes = list(dict.fromkeys(name for name, curve in curves if not math.isnan(curve.ap)))
    columns = max(1, min(columns, len(classes)))
    rows = max(1, math.ceil(len(classes) / columns))
    width, height = 0.5 + 1.5 * columns, 0.75 + 1.45 * rows  # inches
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    for axes, name in zip(panels, classes, strict=False):
        _draw_class(axes, name, [own.get(name) for own in detectors.values()])
    for axes in panels[len(classes) :]:
        axes.set_visible(False)
    for axes in panels[max(0, len(classes) - columns) : len(classes)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel("recall", fontsize=TEXT_SIZE)
    figure.supylabel("precision", fontsize=TEXT_SIZE)
    if classes:
        handles = panels[0].get_lines()
        figure.legend(
            handles, detectors, loc="outside upper center", ncols=len(detectors), fontsize=TEXT_SIZE, frameon=False
        )
    return figure


def _draw_class(axes: Axes, name: str, curves: Sequence[ClassCurve | None]) -> None:
    """A line for each detector, and their average precision above it."""
    for shade, curve in zip(DETECTORS, curves, strict=False):
        recall, precision = ([], []) if curve is None else (list(curve.recall), list(curve.precision))
        recall, precision = [0] * len(precision[:1]) + recall, precision[:1] + precision  # from the left
        axes.plot(recall, precision, color=shade, linewidth=1, drawstyle="steps-pre")  # as the area is measured
    numbers = " / ".join("–" if curve is None else f"{curve.ap:.1f}" for curve in curves)
    axes.set_title(f"{name}\n{numbers}", fontsize=TEXT_SIZE - 1, linespacing=1.1)
    axes.set(xlim=(0, 1), ylim=(0, 1.03), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.set_xticklabels(("0", ".5", "1"))
    axes.grid(color="#BBBBBB", linewidth=0.5, linestyle=":")
    axes.tick_params(labelsize=TEXT_SIZE - 1.5, length=2, width=0.5)
    axes.spines[["top", "right"]].set_visible(False)


def detections(pictures: Sequence[Picture], class_names: Sequence[str], columns: int = 4) -> Figure:
    """Images with what was found, and what is there, a few in a row.

    Args:
        pictures: tested images.
        class_names: label k is class_names[k - 1].
        columns: images in a row.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    columns = max(1, min(columns, len(pictures)))
    rows = max(1, math.ceil(len(pictures) / columns))
    figure = Figure(figsize=(2.4 * columns, 0.35 + 1.95 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in panels:
        axes.set_axis_off()
    for axes, picture in zip(panels, pictures, strict=False):
        _draw_picture(axes, picture, class_names)
    handles = [Line2D([], [], color=FOUND), Line2D([], [], color=TRUTH, linestyle="--")]
    words = [f"found, score {LEAST_SCORE:g} or more", "there (dotted: difficult)"]
    figure.legend(handles, words, loc="outside lower center", ncols=2, fontsize=TEXT_SIZE, frameon=False)
    return figure


def _draw_picture(axes: Axes, picture: Picture, class_names: Sequence[str]) -> None:
    pixels, target, prediction = picture
    axes.imshow(pixels.permute(1, 2, 0).cpu().numpy())
    difficult = target["difficult"].tolist() if "difficult" in target else [False] * len(target["labels"])
    real = zip(target["boxes"].tolist(), target["labels"].tolist(), difficult, strict=True)
    for box, label, hard in real:
        _draw_box(axes, box, TRUTH, ":" if hard else "--", class_names[label - 1], "bottom")
    found = zip(*(prediction[name].tolist() for name in ("boxes", "labels", "scores")), strict=True)
    for box, label, score in sorted(found, key=lambda each: each[2]):  # the surest on top
        if score >= LEAST_SCORE:
            _draw_box(axes, box, FOUND, "-", f"{class_names[label - 1]} {score:.2f}", "top")


def _draw_box(
    axes: Axes, box: Sequence[float], shade: str, style: str, words: str, edge: Literal["top", "bottom"]
) -> None:
    """A box in half-open pixels, and words at its left unless it is small; matplotlib's first pixel begins at -0.5."""
    from matplotlib.patches import Rectangle

    left, top, right, bottom = (side - 0.5 for side in box)
    axes.add_patch(
        Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=shade, linestyle=style, linewidth=1.3)
    )
    if min(right - left, bottom - top) < NAMED * max(axes.get_images()[0].get_size()):
        return
    axes.text(
        max(left, 0),
        max(top, 0) if edge == "top" else bottom,
        words,
        color="white",
        fontsize=TEXT_SIZE - 2.5,
        verticalalignment=edge,
        clip_on=True,
        bbox={"facecolor": shade, "edgecolor": "none", "alpha": 0.8, "pad": 0.6},
    )
