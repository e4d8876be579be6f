"""A checkpoint is evaluated: `test` and `validate` measure its errors, `predict` writes its class probabilities."""

import time
from pathlib import Path
from typing import Any

from lightning import Trainer

from resnet_lightning.evaluation.predictions import PredictionFile
from resnet_lightning.files import sha256
from resnet_lightning.runs.command_line import WEIGHTS, PreparedRun
from resnet_lightning.runs.folder import make_folder, result_file, write_json
from resnet_lightning.runs.life import check_count
from resnet_lightning.runs.locks import locked
from resnet_lightning.runs.record import RunRecord
from resnet_lightning.runs.stop import interruptible
from resnet_lightning.runs.trainers import make_trainer
from resnet_lightning.training.devices import device_name


def evaluate(run: PreparedRun) -> None:
    """Carries out validate, test or predict."""
    work = {"validate": validate, "test": test, "predict": predict}[run.command]
    data = run.data
    with interruptible():
        trainer = make_trainer(run)
        if run.command == "validate" or not run.folder.is_dir():
            work(run, trainer)
            return
        with locked(run.folder / result_file(run.command, data.evaluation), trainer.is_global_zero):
            work(run, trainer)


def validate(run: PreparedRun, trainer: Trainer) -> None:
    """Prints the errors of a checkpoint on the sets that are evaluated while training."""
    how: dict[str, Any] = {"weights_only": run.config.weights_only, "verbose": run.config.verbose}
    trainer.validate(run.model, datamodule=run.data, ckpt_path=run.checkpoint, **how)


def test(run: PreparedRun, trainer: Trainer) -> None:
    """Measures the errors of a checkpoint and writes them to test-<evaluation>.json in the run's folder."""
    start = time.monotonic()
    how: dict[str, Any] = {"weights_only": run.config.weights_only, "verbose": run.config.verbose}
    [values] = trainer.test(run.model, datamodule=run.data, ckpt_path=run.checkpoint, **how)
    values = {name.removeprefix("test/"): value for name, value in values.items()}
    data = run.data
    measured = tested_set(data)
    check_count(trainer, data, "test", measured)
    if trainer.is_global_zero:
        name_weights(run, trainer)
        images = int(values["images"])
        values |= {"images": images, "damaged_images": data.size(measured) - images}
        write_json(
            run.folder / result_file("test", data.evaluation),
            {**about(run, trainer), **values, "seconds": round(time.monotonic() - start, 1)},
        )


def predict(run: PreparedRun, trainer: Trainer) -> None:
    """Writes the class probabilities of evaluated images to predictions-<evaluation>.npy in the run's folder."""
    data = run.data
    data.prepare_data()
    data.setup("predict")
    images = data.size(tested_set(data))
    file = PredictionFile(run.folder, identified(run, trainer), images)
    data.predicted = file.done
    if done := int(file.done.sum()):
        print(f"going on after {done:,} of {images:,} images", flush=True)
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    callbacks.append(file)
    if done < images:
        trainer.predict(
            run.model,
            datamodule=data,
            ckpt_path=run.checkpoint,
            weights_only=run.config.weights_only,
            return_predictions=False,
        )
    elif trainer.is_global_zero:  # it was killed just before it could say so
        file.complete()
    if trainer.is_global_zero:
        name_weights(run, trainer)
    print(f"class probabilities of {images:,} images are in {file.path}")


def tested_set(data: Any) -> str:
    """The set that `test` looks at; ImageNet's test labels are not public."""
    return "test" if data.size("test") else "val"


def about(run: PreparedRun, trainer: Trainer) -> dict[str, Any]:
    """What numbers of an evaluation are of."""
    data = run.data
    return {
        "evaluation": data.evaluation,
        "data": data.title,
        "checkpoint": str(run.checkpoint),
        "bn_batches": run.model.bn_batches,
        "precision": trainer.precision,
        "device": device_name(trainer.strategy.root_device),
    }


def identified(run: PreparedRun, trainer: Trainer) -> dict[str, Any]:
    """The same with the checkpoint's checksum: what goes on in several sessions has to be of the same weights."""
    assert run.checkpoint
    return about(run, trainer) | {"sha256": sha256(run.checkpoint)}


def name_weights(run: PreparedRun, trainer: Trainer) -> None:
    """Gives the folder of weights from elsewhere its run.json."""
    make_folder(run.folder)
    if not (run.folder / "run.json").exists():
        info = RunRecord(run.folder, run.identity, "").describe(trainer, run.model)
        write_json(run.folder / "run.json", info | {WEIGHTS: Path(str(run.checkpoint)).name, "state": "evaluated"})
