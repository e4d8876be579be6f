"""One run (fit, validate, test, predict): LightningCLI whose runs live in folders of their own."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import wandb
import yaml
from lightning import LightningDataModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import SIGTERMException

from resnet_lightning.data.batches import share_of
from resnet_lightning.data.imagenet import ITERATIONS, size_of
from resnet_lightning.errors import INTERRUPTED, BadInput, Diverged, Stopped, speaks_for_node
from resnet_lightning.evaluation.predictions import PredictionFile
from resnet_lightning.files import remove_unfinished, sha256
from resnet_lightning.runs.checkpoint_io import AtomicCheckpointIO, save_unless_whole
from resnet_lightning.runs.checkpoints import (
    checkpoint_file,
    checkpoints,
    newest_whole_checkpoint,
)
from resnet_lightning.runs.folder import (
    check_yaml,
    make_folder,
    read_json,
    refuse_earlier_name,
    refuse_other_configuration,
    result_file,
    run_folder,
    write_json,
)
from resnet_lightning.runs.locks import RunLock
from resnet_lightning.runs.metrics_logger import MetricsFile
from resnet_lightning.runs.naming import config_files, describe
from resnet_lightning.runs.progress import Progress
from resnet_lightning.runs.record import RunRecord
from resnet_lightning.runs.stop import StopWhenAsked
from resnet_lightning.tracking.wandb_logger import wandb_logger
from resnet_lightning.training.classifier import Classifier
from resnet_lightning.training.devices import device_name, fastest_safe_precision

IMAGENET = "resnet_lightning.data.ImageNet"  # as configurations name it
EVALUATIONS = 120  # of a run on ImageNet that does not say when to evaluate
WEIGHTS = "weights"


class CommandLine(LightningCLI):
    """LightningCLI whose runs live in folders of their own and go on where they were interrupted.

    Args:
        arguments: of the command line.
        run: whether to carry out the command; otherwise there is no subcommand and everything is only built.
    """

    evaluates = ""  # the command that stands behind `test`, if it is another

    def __init__(self, arguments: Sequence[str], run: bool = True) -> None:
        self.experiment, self.changes = describe(arguments)
        super().__init__(
            Classifier,
            LightningDataModule,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            save_config_callback=None,
            seed_everything_default=0,
            parser_kwargs={"exit_on_error": False, "allow_abbrev": False},
            args=list(arguments),
            run=run,
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        for path in config_files(args):
            check_yaml(path)
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        """Lightning would take settings from a checkpoint here; ours hold none, and a damaged one is refused later."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--run", type=str | None, default=None, help="Folder of the run. Default: runs/<experiment>/seed<N>"
        )
        parser.add_argument("--checkpoint_every", type=int, default=500, help="Iterations between two checkpoints.")
        parser.link_arguments("seed_everything", "data.init_args.seed")

    def _set_seed(self) -> None:
        seed = self._get(self.config, "seed_everything")
        if not 0 <= int(seed) < 2**32:
            raise BadInput(f"seed_everything {seed}: expected 0 to {2**32 - 1}")
        super()._set_seed()

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand] if self.subcommand else self.config
        self.seed = int(config.seed_everything)
        self.folder = Path(config.run) if config.run else run_folder(self.experiment, self.changes, self.seed)
        checkpoint = config.get("ckpt_path")
        if self.subcommand in ("validate", "test", "predict") and not config.run:
            self.folder = self._folder_of(config.config or [], Path(checkpoint or ""))
        follow_data(config)
        check_numbers(config)
        if checkpoint and not Path(checkpoint).is_file():
            raise BadInput(f"ckpt_path {checkpoint}: there is no such file (a run goes on from its own by itself)")
        if self.subcommand in ("validate", "test", "predict") and not checkpoint:
            raise BadInput("--ckpt_path is missing: the checkpoint whose network is to be evaluated")
        if config.trainer.precision is None:
            config.trainer.precision = fastest_safe_precision(str(config.trainer.accelerator))
        if self.subcommand == "fit":
            self._look_into_folder(config)

    def _folder_of(self, configs: list[Any], checkpoint: Path) -> Path:
        """The run that is evaluated: its config.yaml's or its checkpoint's; else one for weights from elsewhere."""
        candidates = [Path(str(path)).parent for path in [*configs[-1:], checkpoint.parent]]
        folders = [folder for folder in candidates if (folder / "run.json").exists()]
        if len({folder.resolve() for folder in folders}) > 1:
            raise BadInput(f"{checkpoint} is of the run in {folders[1]}, not of {folders[0]}: give its own config.yaml")
        if folders:
            return folders[0]
        return run_folder(self.experiment, [*self.changes, f"{WEIGHTS}={checkpoint.stem}"], self.seed)

    def _look_into_folder(self, config: Any) -> None:
        self.result = read_json(self.folder / "result.json")
        if self.result is not None and "state" not in self.result:
            raise BadInput(f"{self.folder / 'result.json'} is damaged (no state): delete it")
        self.config_text = self._parser("fit").dump(config, skip_unset=False)
        if self.result or checkpoints(self.folder / "checkpoints"):
            refuse_other_configuration(self.folder, yaml.safe_load(self.config_text))
        elif not config.run:
            now = yaml.safe_load(self.config_text)
            refuse_earlier_name(self.folder, self.experiment, self.changes, self.seed, now)

    def _run_subcommand(self, subcommand: str) -> None:
        try:
            if subcommand in ("test", "predict") and self.folder.is_dir():
                name = result_file(self.evaluates or subcommand, self.datamodule.evaluation)
                with self._lock(RunLock(self.folder / name)):
                    super()._run_subcommand(subcommand)
            else:
                super()._run_subcommand(subcommand)
        except SystemExit as error:  # how Lightning ends after Ctrl-C, and, with status 0, after SIGTERM
            if speaks_for_node():
                print(INTERRUPTED, file=sys.stderr)
            if isinstance(error, Stopped):
                raise
            sys.exit(143 if isinstance(error, SIGTERMException) else 130)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        trainer: Any = self._get(self.config_init, "trainer")
        self.lock = RunLock(self.folder / "result.json")
        trainer.plugins = [*(trainer.plugins or []), AtomicCheckpointIO()]
        given = trainer.callbacks or []
        trainer.callbacks = [*given] if isinstance(given, list) else [given]
        if trainer.enable_progress_bar is not False and self.subcommand == "fit":
            trainer.callbacks.append(Progress())
        if trainer.enable_model_summary is None:
            trainer.enable_model_summary = False
        trainer.default_root_dir = str(self.folder)
        if self.subcommand == "fit" and self.result is None:
            self.record = RunRecord(self.folder, self._identity(), self.config_text)
            name = getattr(self.model.network, "name", "network")
            trainer.logger = [
                MetricsFile(self.folder / "metrics.csv"),
                wandb_logger(self.folder, self.experiment, self.changes, self.seed, name),
            ]
            trainer.callbacks += [
                self.record,
                StopWhenAsked(self.folder),
                ModelCheckpoint(
                    self.folder / "checkpoints",
                    "iteration={step}",
                    save_top_k=-1,  # AtomicCheckpointIO keeps the last two, whoever wrote them
                    auto_insert_metric_name=False,
                    enable_version_counter=False,
                    every_n_train_steps=self._get(self.config_init, "checkpoint_every"),
                ),
            ]
        else:
            trainer.logger = False
            trainer.enable_checkpointing = False
        try:
            return super().instantiate_trainer(**kwargs)
        except (TypeError, ValueError) as error:
            raise BadInput(f"trainer: {error}") from error

    def fit(self, **arguments: Any) -> None:
        """Trains, measures the test error at the last iteration, and writes result.json."""
        if self.result is not None:
            print(f"{self.folder} is {self.result['state']} already: delete it to run it again")
            return
        try:
            self.model.optimizer(self.model.network.parameters())
        except ValueError as error:
            raise BadInput(f"model.optimizer: {error}") from error
        if self.trainer.is_global_zero:  # refuses data before anything is written
            self.datamodule.prepare_data()
            self.datamodule.setup("fit")
        images, each = share_of(self.datamodule.batch_size, self.trainer.world_size), self.model.batch_norm_images
        if each is not None and images % each:
            raise BadInput(f"batch_norm_images {each}: each device has {images} images of a batch")
        make_folder(self.folder / "checkpoints")
        with self._lock(self.lock):
            if finished := read_json(self.folder / "result.json"):
                print(f"{self.folder} is {finished['state']} by now")
                return
            own = newest_whole_checkpoint(self.folder / "checkpoints", self.trainer.is_global_zero)
            arguments["ckpt_path"] = own or arguments["ckpt_path"]
            if arguments["ckpt_path"]:
                self._take_as_many_threads()
            if self.trainer.is_global_zero:
                for folder in (self.folder, self.folder / "checkpoints"):
                    remove_unfinished(folder)
                if arguments["ckpt_path"]:
                    print(f"going on from {arguments['ckpt_path']}", flush=True)
                how = f"{self.trainer.precision} on {device_name(self.trainer.strategy.root_device)}"
                print(f"{self.folder}: {self.trainer.max_steps:,} iterations in {how}", flush=True)
            try:
                self.trainer.fit(**arguments)
                self._finish()
            except Diverged as error:
                if self.trainer.is_global_zero:
                    self.record.finish(self.trainer, self.model, "diverged", error.iteration)
                raise
            finally:
                wandb.finish()

    def _take_as_many_threads(self) -> None:
        """As when the run was begun: on a CPU, the last bits of a sum depend on the number of threads."""
        threads = (read_json(self.folder / "run.json") or {}).get("threads")
        if isinstance(threads, int) and 0 < threads <= (os.cpu_count() or 1):
            torch.set_num_threads(threads)

    @contextmanager
    def _lock(self, lock: RunLock) -> Iterator[None]:
        """Keeps other runs of the same away; of several processes, the first one does that for all."""
        if not self.trainer.is_global_zero:
            yield
            return
        lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _finish(self) -> None:
        iteration = self.trainer.global_step
        if iteration % self._get(self.config_init, "checkpoint_every"):  # not saved, or only by an earlier session
            save_unless_whole(self.trainer, checkpoint_file(self.folder, iteration))
        name = "test" if self.datamodule.size("test") else "val"  # ImageNet's test labels are not public
        evaluate = self.trainer.test if name == "test" else self.trainer.validate
        evaluate(self.model, datamodule=self.datamodule, verbose=False)
        self._check_count(name, self.datamodule.size(name))
        if self.trainer.is_global_zero:
            self.result = self.record.finish(self.trainer, self.model, "finished", iteration)
            print(
                f"{self.result['network']} after {iteration:,} iterations on {self.result['data']}: training error "
                f"{self.result['train_error']:.2f} %, {'test' if name == 'test' else 'validation'} error "
                f"{self.result[f'{name}_error']:.2f} %"
            )

    def _check_count(self, name: str, expected: int) -> None:
        counted = int(self.trainer.callback_metrics[f"{name}/images"])
        if counted + self.datamodule.damaged_images < expected or counted > expected:
            raise RuntimeError(f"{counted:,} images were counted instead of {expected:,}")

    def test(self, **arguments: Any) -> None:
        """Measures the errors of a checkpoint and writes them to test-<evaluation>.json in the run's folder."""
        start = time.monotonic()
        [values] = self.trainer.test(**arguments)
        values = {name.removeprefix("test/"): value for name, value in values.items()}
        expected = self.datamodule.size("test") or self.datamodule.size("val")
        self._check_count("test", expected)
        if self.trainer.is_global_zero:
            checkpoint = Path(arguments["ckpt_path"])
            self._identify_weights(checkpoint)
            about = self._about_evaluation(checkpoint)
            images = int(values["images"])
            values |= {"images": images, "damaged_images": expected - images}
            write_json(
                self.folder / result_file("test", self.datamodule.evaluation),
                {**about, **values, "seconds": round(time.monotonic() - start, 1)},
            )

    def predict(self, **arguments: Any) -> None:
        """Writes the class probabilities of evaluated images to predictions-<evaluation>.npy in the run's folder."""
        self.datamodule.prepare_data()
        self.datamodule.setup("predict")
        checkpoint = Path(arguments["ckpt_path"])
        images = self.datamodule.size("test") or self.datamodule.size("val")
        about = self._about_evaluation(checkpoint) | {"sha256": sha256(checkpoint)}
        file = PredictionFile(self.folder, about, images)
        self.datamodule.predicted = file.done
        if done := int(file.done.sum()):
            print(f"going on after {done:,} of {images:,} images", flush=True)
        callbacks: list[Any] = self.trainer.callbacks  # type: ignore[attr-defined]
        callbacks.append(file)
        if done < images:
            self.trainer.predict(**arguments | {"return_predictions": False})
        elif self.trainer.is_global_zero:  # it was killed just before it could say so
            file.complete()
        if self.trainer.is_global_zero:
            self._identify_weights(checkpoint)
        print(f"class probabilities of {images:,} images are in {file.path}")

    def _about_evaluation(self, checkpoint: Path) -> dict[str, Any]:
        """What numbers of this evaluation are of."""
        return {
            "evaluation": self.datamodule.evaluation,
            "data": self.datamodule.title,
            "checkpoint": str(checkpoint),
            "bn_batches": self.model.bn_batches,
            "precision": self.trainer.precision,
            "device": device_name(self.trainer.strategy.root_device),
        }

    def _identify_weights(self, checkpoint: Path) -> None:
        """Gives the folder of weights from elsewhere its run.json."""
        make_folder(self.folder)
        if not (self.folder / "run.json").exists():
            info = RunRecord(self.folder, self._identity(), "").describe(self.trainer, self.model)
            write_json(self.folder / "run.json", info | {WEIGHTS: checkpoint.name, "state": "evaluated"})

    def _identity(self) -> dict[str, Any]:
        return {"experiment": self.experiment, "changes": self.changes, "seed": self.seed}


def follow_data(config: Any) -> None:
    """Sets what depends on the size of an ImageNet folder: classes, and the length of a run that names none."""
    if config.data.class_path != IMAGENET:
        return
    options = config.data.init_args
    iterations = ITERATIONS
    if size := size_of(Path(options.root), options.batch_size):  # else a missing folder is refused when it is read
        classes, iterations = size
        network = config.model.network.get("init_args", {})
        if "num_classes" in network:
            network.num_classes = classes
    if config.trainer.max_steps == -1:
        config.trainer.max_steps = iterations
    if config.trainer.val_check_interval is None:
        config.trainer.val_check_interval = max(1, config.trainer.max_steps // EVALUATIONS)


def check_numbers(config: Any) -> None:
    """Refuses numbers that make no sense before anything is written."""
    for name, value in (
        ("trainer.max_steps", config.trainer.max_steps),
        ("trainer.log_every_n_steps", config.trainer.log_every_n_steps),
        ("trainer.val_check_interval", config.trainer.val_check_interval),
        ("checkpoint_every", config.checkpoint_every),
    ):
        if isinstance(value, int | float) and value <= 0:
            raise BadInput(f"{name} {value}: expected a number of iterations, at least 1")
    if config.trainer.sync_batchnorm and config.model.batch_norm_images is not None:
        raise BadInput("trainer.sync_batchnorm normalises by all devices' images, model.batch_norm_images by fewer")
    # These would end a run early, or measure a part of a set, and the result would not say so.
    for name in ("fast_dev_run", "overfit_batches", "max_epochs", "max_time"):
        if config.trainer.get(name) not in (None, False, -1):
            raise BadInput(f"trainer.{name}: runs are shortened by --trainer.max_steps alone")
    for name in ("limit_train_batches", "limit_test_batches", "limit_predict_batches"):
        if config.trainer.get(name) is not None:
            raise BadInput(f"trainer.{name}: every image counts; runs are shortened by --trainer.max_steps alone")


def fit(arguments: Sequence[str]) -> None:
    """`resnet-lightning fit`."""
    _carry_out("fit", arguments)


def validate(arguments: Sequence[str]) -> None:
    """`resnet-lightning validate`."""
    _carry_out("validate", arguments)


def test(arguments: Sequence[str]) -> None:
    """`resnet-lightning test`."""
    _carry_out("test", arguments)


def predict(arguments: Sequence[str]) -> None:
    """`resnet-lightning predict`."""
    _carry_out("predict", arguments)


def _carry_out(command: str, arguments: Sequence[str]) -> None:
    torch.set_float32_matmul_precision("high")
    CommandLine([command, *arguments])
