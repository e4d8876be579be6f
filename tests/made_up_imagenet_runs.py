"""Made-up runs of ImageNet for the tests of its tables, and of ensembles."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from made_up_runs import write_config
from numpy.typing import NDArray

from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, load_runs
from resnet_lightning.studies import find_study

SUBSET: dict[str, Any] = {
    "data": "imagenette (10 classes, 9,469 + 3,925 images) at 64×64",
    "iterations": 400,
    "changes": ["max_steps=400", "small"],
}

OTHERS: dict[str, Any] = {"weights": "resnet50-0676ba61.pth", "changes": ["weights=resnet50-0676ba61"]}


def write_run(
    root: Path,
    network: str,
    train: float = 30.0,
    val: float = 31.0,
    seed: int = 0,
    state: str = "finished",
    ten: Sequence[float] = (),
    **info: Any,
) -> Path:
    """A run folder with errors (percent) that fall to train and val; unfinished ones stop halfway.

    Args:
        ten: top-1 and top-5 error of 10-crop testing of its last checkpoint; nothing if it was not tested so.
    """
    table = "table2" if network in ("plain-18", "plain-34", "ResNet-18", "ResNet-34") else "table3"
    shortcut = "none" if network.startswith("plain") else "unknown" if network == "VGG-16" else "B"
    experiment = f"imagenet/{table}/{network.removesuffix(' v1.5').lower().replace('-', '').replace(' ', '')}"
    info = {
        **{"experiment": experiment, "seed": seed, "network": network, "depth": int(network.split()[0].split("-")[1])},
        **{"shortcut": shortcut, "parameters": 25_557_032, "iterations": 600_000, "changes": [], "data": "ImageNet"},
        **{"train_images": 1_281_167, "val_images": 50_000, "test_images": 0, **info},
    }
    folder = root / "@".join([experiment, *[",".join(info["changes"])] * bool(info["changes"])]) / f"seed{seed}"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(info))
    write_config(folder, info["experiment"])
    if ten:
        evaluate(folder, "ten_crop", *ten, iteration=info["iterations"], data=info["data"])
    if "weights" in info:
        return folder
    step = info["iterations"] // 8
    rows = [f"{n * step},{train + 8 - n},{val + 8 - n if n % 2 == 0 else ''}\n" for n in range(1, 9)]
    rows = rows if state == "finished" else rows[:4]
    (folder / "metrics.csv").write_text("iteration,train/error,val/error\n" + "".join(rows))
    if state == "finished":
        result = {**info, "state": state, "iteration": 8 * step, "train_error": train, "val_error": val}
        (folder / "result.json").write_text(json.dumps(result))
    return folder


def evaluate(
    folder: Path,
    evaluation: str,
    error: float,
    top5_error: float,
    iteration: int = 600_000,
    data: str = "ImageNet",
    **more: Any,
) -> None:
    contents = {"evaluation": evaluation, "error": error, "top5_error": top5_error, "data": data}
    contents |= {
        "checkpoint": f"checkpoints/iteration={iteration}.ckpt",
        "images": 50_000,
        "damaged_images": 0,
        "bn_batches": 0,
        **more,
    }
    (folder / f"test-{evaluation}.json").write_text(json.dumps(contents))


def predict(
    folder: Path,
    probabilities: Sequence[Sequence[float]],
    labels: Sequence[int],
    complete: bool = True,
    data: str = "ImageNet",
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    row = np.dtype([("label", "<i4"), ("probabilities", "<f4", (len(probabilities[0]),))])
    rows: NDArray[Any] = np.zeros(len(labels), row)
    rows["label"], rows["probabilities"] = labels, probabilities
    np.save(folder / "predictions-multi_scale.npy", rows)
    about = {"complete": complete, "data": data, "evaluation": "multi_scale", "checkpoint": "iteration=600000.ckpt"}
    (folder / "predictions-multi_scale.json").write_text(json.dumps(about))
    return folder


def load(root: Path, study: str = "table3") -> list[Run]:
    return load_runs(find_study(study).experiments, root)


def row(table: Table, network: str) -> dict[str, str]:
    [cells] = [cells for cells in table.rows if cells[0] == network]
    return dict(zip(table.columns, cells, strict=True))
