"""The life of a training run: locked, begun or taken up again, trained to its last iteration, and given a result."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import Logger

from resnet_lightning.data.batches import share_of
from resnet_lightning.data.protocol import counts_itself, damaged_images, facts, size, tested_set, title
from resnet_lightning.errors import BadInput, Diverged, EndedEarly
from resnet_lightning.files import remove_unfinished
from resnet_lightning.runs.checkpoint_io import save_unless_whole
from resnet_lightning.runs.checkpoints import checkpoint_file, checkpoints, iteration_of, newest_whole_checkpoint
from resnet_lightning.runs.command_line import PreparedRun, is_as_shipped
from resnet_lightning.runs.ending import refuse_early_end
from resnet_lightning.runs.folder import make_folder, read_json, refuse_earlier_name, refuse_other_configuration
from resnet_lightning.runs.locks import locked
from resnet_lightning.runs.metrics_logger import MetricsFile
from resnet_lightning.runs.progress import Progress
from resnet_lightning.runs.record import RunRecord, Tracker
from resnet_lightning.runs.resume import ExactResume, refuse_other_precision, take_as_many_threads
from resnet_lightning.runs.stop import StopWhenAsked, interruptible
from resnet_lightning.runs.trained import read_weights
from resnet_lightning.runs.trainers import make_trainer
from resnet_lightning.training.devices import device_name
from resnet_lightning.training.first_look import try_optimizer


def fit(run: PreparedRun, track: Callable[[PreparedRun], Tracker] | None = None) -> None:
    """Trains, measures the test error at the last iteration, and writes result.json; or goes on with that.

    Args:
        track: makes a logger that follows the run elsewhere.

    Raises:
        BadInput: if the run's folder holds another run, or data and settings do not fit each other.
        EndedEarly: if it has diverged in an earlier call.
        Occupied: if another process is at work on it.
        Diverged: if the loss is no number any more; the result says so.
    """
    if run.config.trainer.fast_dev_run:
        try_out(run)
        return
    if over := look_into_folder(run):
        say_how_it_ended(f"{run.folder} is {over['state']} already: --run names another folder for another try", over)
        return
    record = RunRecord(run.folder, run.identity | {"as_shipped": is_as_shipped(run)}, run.text)
    tracker = track(run) if track and run.config.trainer.logger is not False else None
    loggers = [MetricsFile(run.folder / "metrics.csv"), *([tracker] if tracker else []), *own_loggers(run)]
    trainer = make_trainer(run, list_callbacks(run, record), loggers)
    check_before_writing(run, trainer)
    make_folder(run.folder / "checkpoints")
    with interruptible(), locked(run.folder / "result.json", trainer.is_global_zero):
        if over := read_json(run.folder / "result.json"):
            say_how_it_ended(f"{run.folder} is {over['state']} by now", over)
            return
        start = begin(run, trainer)
        try:
            trainer.fit(run.model, datamodule=run.data, ckpt_path=start, weights_only=run.config.weights_only)
            refuse_early_end(trainer, run.folder, run.config.trainer.max_steps)
            finish(run, trainer, record, start)
        except Diverged as error:
            if trainer.is_global_zero:
                record.finish(trainer, run.model, "diverged", error.iteration)
            raise
        finally:
            if tracker:
                tracker.close()


def say_how_it_ended(words: str, result: Mapping[str, Any]) -> None:
    """Raises EndedEarly for a run that has diverged: that call did not succeed, and so this one does not."""
    if result["state"] == "diverged":
        raise EndedEarly(words)
    print(words)


def try_out(run: PreparedRun) -> None:
    """Lightning's fast_dev_run: some batches of training and of each evaluation, in a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        run.folder = Path(folder)
        trainer = make_trainer(run)
        trainer.fit(run.model, datamodule=run.data)
        if size(run.data, "test"):
            trainer.test(run.model, datamodule=run.data, verbose=False)
    batches = int(run.config.trainer.fast_dev_run)
    print(f"fast_dev_run: training and evaluation work on {batches} batch{'es' * (batches > 1)}; nothing was kept")


def own_loggers(run: PreparedRun) -> list[Any]:
    """The loggers that the configuration names."""
    given = run.settings["logger"]
    return [one for one in (given if isinstance(given, list) else [given]) if isinstance(one, Logger)]


def look_into_folder(run: PreparedRun) -> dict[str, Any] | None:
    """The result of a run that is over, or None.

    Raises:
        BadInput: if its folder holds a run of other settings, or a damaged file.
    """
    result = read_json(run.folder / "result.json")
    if result is not None and "state" not in result:
        raise BadInput(f"{run.folder / 'result.json'} is damaged (no state): move it away, and the run finishes again")
    settings = yaml.safe_load(run.text)
    if result or checkpoints(run.folder / "checkpoints"):
        refuse_other_configuration(run.folder, settings)
    elif not run.config.run:
        refuse_earlier_name(run.folder, **run.identity, now=settings)
    return result


def list_callbacks(run: PreparedRun, record: RunRecord) -> list[Any]:
    """What every training run does beside training; the order counts, since each is asked in turn."""
    progress = [] if run.config.trainer.enable_progress_bar is False else [Progress()]
    return [
        *progress,
        record,
        StopWhenAsked(run.folder),
        ModelCheckpoint(
            run.folder / "checkpoints",
            "iteration={step}",
            save_top_k=-1,  # AtomicCheckpointIO keeps the last two, whoever wrote them
            auto_insert_metric_name=False,
            enable_version_counter=False,
            every_n_train_steps=run.config.checkpoint_every,
        ),
        ExactResume(),
    ]


def check_before_writing(run: PreparedRun, trainer: Trainer) -> None:
    """Refuses an optimizer, data or a share of a batch that cannot be, before anything is written."""
    try_optimizer(run.model.optimizer, run.model.network, trainer.strategy.root_device)
    refuse_other_precision(run.folder, trainer.precision, run.config.trainer.precision)
    if trainer.is_global_zero:
        run.data.prepare_data()
        run.data.setup("fit")
        if not size(run.data, "test") and not size(run.data, "val"):
            raise BadInput(f"{title(run.data)} has nothing to evaluate: expected a test_dataloader or a val_dataloader")
        run.data.trainer = trainer  # as Lightning does before it asks for batches
        known = facts(run.config.data.class_path, run.config.data.get("init_args") or {})
        run.model.try_out(run.data, known.classes if known else None)
        if not run.checkpoint and not checkpoints(run.folder / "checkpoints"):
            run.model.initialise(read_weights, run.data)
    if trainer.world_size > 1 and not counts_itself(run.data):
        raise BadInput(
            f"{title(run.data)} on {trainer.world_size} devices: it has to give each device its own images, and to say "
            "how many there are by size(name)"
        )
    batch, each = getattr(run.data, "batch_size", None), run.model.batch_norm_images
    images = share_of(batch, trainer.world_size) if isinstance(batch, int) else None
    if images is not None and each is not None and images % each:
        raise BadInput(f"batch_norm_images {each}: each device has {images} images of a batch")


def begin(run: PreparedRun, trainer: Trainer) -> Path | None:
    """Tidies up what an interrupted session has left, and says so; the checkpoint to go on from."""
    there = checkpoints(run.folder / "checkpoints")
    own = newest_whole_checkpoint(run.folder / "checkpoints", trainer.is_global_zero)
    start = own or run.checkpoint
    if start:
        take_as_many_threads(run.folder)
    if trainer.is_global_zero:
        for folder in (run.folder, run.folder / "checkpoints"):
            remove_unfinished(folder)
        if there and not start:  # all damaged: what the network begins with was not looked at yet
            run.model.initialise(read_weights, run.data)
        if start:
            print(f"going on from {start}", flush=True)
        how = f"{trainer.precision} on {device_name(trainer.strategy.root_device)}"
        print(f"{run.folder}: {trainer.max_steps:,} iterations in {how}", flush=True)
    return start


def finish(run: PreparedRun, trainer: Trainer, record: RunRecord, start: Path | None) -> None:
    """Saves the last weights, measures their error, and writes the result."""
    iteration = trainer.global_step
    if iteration % run.config.checkpoint_every:  # not saved, or only by an earlier session
        save_unless_whole(trainer, checkpoint_file(run.folder, iteration))
    name = tested_set(run.data)
    evaluate = trainer.test if name == "test" else trainer.validate
    if start and iteration_of(start) == iteration:  # Lightning calls no hooks where nothing is left to train
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging):
                callback.on_train_end(trainer, run.model)
    evaluate(run.model, datamodule=run.data, verbose=False)
    check_count(trainer, run.data, name)
    if trainer.is_global_zero:
        result = record.finish(trainer, run.model, "finished", iteration)
        print(f"{result['network']} after {iteration:,} iterations on {result['data']}: {in_words(run, result, name)}")


def in_words(run: PreparedRun, result: dict[str, Any], name: str) -> str:
    """What a result measured at the end: training error 0.15 %, test error 8.75 %.

    Args:
        name: of the set that was evaluated, test or val.
    """
    trained, measure = run.model.train_measure, run.model.measure
    unit = " %" * (trained != "loss")
    evaluated = f"{'test' if name == 'test' else 'validation'} {measure} {result[f'{name}_{measure}']:.2f} %"
    return f"training {trained} {result[f'train_{trained}']:.2f}{unit}, {evaluated}"


def check_count(trainer: Trainer, data: Any, name: str, of: str | None = None) -> None:
    """Raises RuntimeError unless an evaluation has counted every image of a set once, where the data says how many.

    Args:
        name: of the evaluation, as metrics call it.
        of: the set that it looked at, if that has another name.
    """
    counted, expected = int(trainer.callback_metrics[f"{name}/images"]), size(data, of or name)
    if counts_itself(data) and (counted + damaged_images(data) < expected or counted > expected):
        raise RuntimeError(f"{counted:,} images were counted instead of {expected:,}")
