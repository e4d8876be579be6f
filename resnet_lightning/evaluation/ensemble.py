"""The ensemble of section 4.1: the class probabilities of several networks, averaged for every image."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import numpy as np
from numpy.typing import NDArray

from resnet_lightning.errors import BadInput
from resnet_lightning.runs.folder import read_json

ROWS = 1000  # images at a time: 8 MB of 1,000 classes

TO_DO, DAMAGED = -1, -2  # labels of rows without probabilities


def prediction_files(folder: Path, evaluation: str) -> tuple[Path, Path]:
    """The probabilities, and what they are of."""
    return folder / f"predictions-{evaluation}.npy", folder / f"predictions-{evaluation}.json"


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning ensemble`: the errors of the averaged probabilities of several runs (table 5)."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False, allow_abbrev=False, prog="resnet-lightning ensemble")
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs in which `predict` has written")
    parser.add_argument("--evaluation", default="multi_scale", help="center, ten_crop or multi_scale")
    options = parser.parse_args(list(arguments))
    found = ensemble(options.runs, options.evaluation)
    print(
        f"{len(options.runs)} networks, {options.evaluation}, {found['images']:,} images: "
        f"top-1 error {found['error']:.2f} %, top-5 error {found['top5_error']:.2f} %"
    )


def ensemble(folders: Sequence[Path], evaluation: str) -> dict[str, Any]:
    """Top-1 and top-5 error (percent) of the mean of the members' class probabilities.

    Args:
        folders: of runs, each with predictions-<evaluation>.npy.
        evaluation: center, ten_crop or multi_scale.

    Returns:
        evaluation, error, top5_error, images, damaged_images (in any member; left out), and members, the folders.

    Raises:
        BadInput: without folders, or if predictions are missing, half done, damaged, or not all of the same images.
    """
    if not folders:
        raise BadInput("an ensemble needs at least one run")
    members = [_open(folder, evaluation) for folder in folders]
    _refuse_other_data(folders, evaluation, members)
    labels = np.stack([member["label"] for member in members])
    damaged = (labels == DAMAGED).any(0)
    if damaged.all():
        raise BadInput(f"no image is left: each is damaged in one of {', '.join(map(str, folders))}")
    wrong = np.zeros(2, np.int64)
    for start in range(0, len(damaged), ROWS):
        rows = start + np.flatnonzero(~damaged[start : start + ROWS])
        total = np.zeros((len(rows), members[0]["probabilities"].shape[1]))
        for folder, member in zip(folders, members, strict=True):
            total += member[start : start + ROWS]["probabilities"][rows - start]
            if not np.isfinite(total).all():
                raise BadInput(f"{folder}: its predictions are damaged (probabilities that are no numbers)")
        place = rank(total, labels[0, rows])
        wrong += (place >= 1).sum(), (place >= 5).sum()
    images = int((~damaged).sum())
    top1, top5 = (100.0 * wrong / images).tolist()
    return {
        "evaluation": evaluation,
        "error": top1,
        "top5_error": top5,
        "images": images,
        "damaged_images": int(damaged.sum()),
        "members": [str(folder) for folder in folders],
    }


def rank(scores: NDArray[np.float64], labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """How many classes come before the right one; among equal scores the lower class comes first.

    >>> rank(np.array([[0.2, 0.5, 0.3], [0.5, 0.0, 0.5]]), np.array([2, 2], np.int32)).tolist()
    [1, 1]
    """
    right = np.take_along_axis(scores, labels[:, None].astype(np.int64), axis=1)
    earlier = np.arange(scores.shape[1]) < labels[:, None]
    before: NDArray[np.int64] = ((scores > right) | ((scores == right) & earlier)).sum(1)
    return before


def _open(folder: Path, evaluation: str) -> NDArray[Any]:
    """The predictions of one member, mapped into memory, not read."""
    path, about = prediction_files(folder, evaluation)
    if not path.exists():
        raise BadInput(f"{folder} has no {path.name}: `predict` with --data.evaluation {evaluation} writes it")
    try:
        rows: NDArray[Any] = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(
            f"{path} is damaged ({' '.join(str(error).split())}): move it away, and predict writes it again"
        ) from error
    if rows.dtype.names != ("label", "probabilities") or rows.ndim != 1 or rows["probabilities"].ndim != 2:
        raise BadInput(f"{path} is damaged (no labels and probabilities): move it away, and predict writes it again")
    waiting = int((rows["label"] == TO_DO).sum())
    info = read_json(about) or {}
    if waiting or not len(rows) or not info.get("complete"):
        raise BadInput(f"{path} is half done: {len(rows) - waiting:,} of {len(rows):,} images; evaluate it to its end")
    classes = rows["probabilities"].shape[1]
    if ((rows["label"] < DAMAGED) | (rows["label"] >= classes)).any():
        raise BadInput(
            f"{path} is damaged (labels beyond its {classes:,} classes): move it away, and predict writes it again"
        )
    return rows


def _refuse_other_data(folders: Sequence[Path], evaluation: str, members: Sequence[NDArray[Any]]) -> None:
    titles = [(read_json(prediction_files(folder, evaluation)[1]) or {}).get("data") for folder in folders]
    first, labels = members[0], members[0]["label"]
    for folder, title, member in zip(folders, titles, members, strict=True):
        reason = ""
        if title != titles[0]:
            reason = f"{titles[0]} and {title} are other data"
        elif (member.shape, member.dtype) != (first.shape, first.dtype):
            sizes = [f"{len(rows):,} images of {rows['probabilities'].shape[1]:,} classes" for rows in (first, member)]
            reason = f"{' and '.join(sizes)} are other data"
        elif ((member["label"] != labels) & (member["label"] != DAMAGED) & (labels != DAMAGED)).any():
            reason = "the labels differ: other images, or another order"
        if reason:
            raise BadInput(f"no ensemble of {folders[0]} and {folder}: {reason}")
