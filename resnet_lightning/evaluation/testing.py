"""A checkpoint is evaluated: `test` and `validate` measure its errors, `predict` writes its class probabilities."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from lightning import Trainer

from resnet_lightning.data.protocol import counts_itself, evaluation, size, tested_set, title
from resnet_lightning.errors import BadInput
from resnet_lightning.evaluation.predictions import PredictionFile
from resnet_lightning.files import sha256
from resnet_lightning.networks import inspection
from resnet_lightning.runs.command_line import WEIGHTS, PreparedRun, prepare
from resnet_lightning.runs.folder import make_folder, result_file, write_json
from resnet_lightning.runs.life import check_count
from resnet_lightning.runs.locks import locked
from resnet_lightning.runs.record import RunRecord
from resnet_lightning.runs.stop import interruptible
from resnet_lightning.runs.trainers import make_trainer
from resnet_lightning.training.classifier import Classifier
from resnet_lightning.training.devices import device_name


def validate(arguments: Sequence[str]) -> None:
    """`resnet-lightning validate`: prints the errors of a checkpoint on the sets that are evaluated while training."""
    run = prepare(arguments, "validate")
    with interruptible():
        make_trainer(run).validate(run.model, datamodule=run.data, **of_checkpoint(run), verbose=run.config.verbose)


def test(arguments: Sequence[str]) -> None:
    """`resnet-lightning test`: the errors of a checkpoint, in test-<evaluation>.json in the run's folder."""
    run = prepare(arguments, "test")
    with interruptible():
        trainer = make_trainer(run)
        with alone(run, trainer, result_file("test", evaluation(run.data))):
            write_errors(run, trainer)


def predict(arguments: Sequence[str]) -> None:
    """`resnet-lightning predict`: class probabilities, in predictions-<evaluation>.npy in the run's folder."""
    run = prepare(arguments, "predict")
    refuse_detectors(run, "predict writes class probabilities of images")
    with interruptible():
        trainer = make_trainer(run)
        with alone(run, trainer, result_file("predict", evaluation(run.data))):
            write_probabilities(run, trainer)


def refuse_detectors(run: PreparedRun, why: str) -> None:
    """Raises BadInput unless a run is of classification."""
    if not isinstance(run.model, Classifier):
        raise BadInput(f"{why}, and {inspection.name(run.model.network)} has none: `test` measures it")


def alone(run: PreparedRun, trainer: Trainer, file: str) -> AbstractContextManager[None]:
    """Keeps other processes away from the work on a file in a run's folder; weights from elsewhere have none yet."""
    return locked(run.folder / file, trainer.is_global_zero and run.folder.is_dir())


def write_errors(run: PreparedRun, trainer: Trainer) -> None:
    start = time.monotonic()
    [values] = trainer.test(run.model, datamodule=run.data, **of_checkpoint(run), verbose=run.config.verbose)
    values = {name.removeprefix("test/"): value for name, value in values.items()}
    measured = tested_set(run.data)
    check_count(trainer, run.data, "test", measured)
    if trainer.is_global_zero:
        name_weights(run, trainer)
        images = int(values["images"])
        values |= {
            "images": images,
            "damaged_images": size(run.data, measured) - images if counts_itself(run.data) else 0,
        }
        write_json(
            run.folder / result_file("test", evaluation(run.data)),
            {**about(run, trainer), **values, "seconds": round(time.monotonic() - start, 1)},
        )


def write_probabilities(run: PreparedRun, trainer: Trainer) -> None:
    run.data.prepare_data()
    run.data.setup("predict")
    images = size(run.data, tested_set(run.data))
    file = PredictionFile(run.folder, identified(run, trainer), images)
    run.data.predicted = file.done
    if done := int(file.done.sum()):
        print(f"going on after {done:,} of {images:,} images", flush=True)
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    callbacks.append(file)
    if done < images:
        trainer.predict(run.model, datamodule=run.data, **of_checkpoint(run), return_predictions=False)
    elif trainer.is_global_zero:  # it was killed just before it could say so
        file.complete()
    if trainer.is_global_zero:
        name_weights(run, trainer)
    print(f"class probabilities of {images:,} images are in {file.path}")


def of_checkpoint(run: PreparedRun) -> dict[str, Any]:
    """What a Trainer's methods have to know to evaluate the weights that the command line names."""
    return {"ckpt_path": run.checkpoint, "weights_only": run.config.weights_only}


def about(run: PreparedRun, trainer: Trainer) -> dict[str, Any]:
    """What numbers of an evaluation are of."""
    return {
        "evaluation": evaluation(run.data),
        "data": title(run.data),
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
