"""The command line: LightningCLI for one run (fit, validate, test, predict), and the studies made of many runs."""

import logging
import os
import sys
import time
import warnings
from argparse import ArgumentError
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import torch
import wandb
import yaml
from lightning import LightningDataModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import SIGTERMException

from resnet_lightning.benchmark import bench
from resnet_lightning.benchmark_input import bench_input
from resnet_lightning.callbacks import Progress
from resnet_lightning.callbacks.record import RunRecord
from resnet_lightning.checkpoints import AtomicCheckpointIO, is_disk_full, newest_checkpoint
from resnet_lightning.classifier import Classifier
from resnet_lightning.data import ImageNet
from resnet_lightning.data.imagenet import ITERATIONS, size_of
from resnet_lightning.devices import device_name, fastest_safe_precision
from resnet_lightning.errors import BadInput, Diverged
from resnet_lightning.evaluation.ensemble import ensemble
from resnet_lightning.evaluation.predictions import PredictionFile, fingerprint
from resnet_lightning.metrics_file import MetricsFile
from resnet_lightning.run_folder import (
    NOT_A_CHANGE,
    config_files,
    describe,
    make_folder,
    read_json,
    refuse_other_data,
    run_folder,
    write_json,
)
from resnet_lightning.studies import STUDIES, choose, find_study
from resnet_lightning.studies.report import report
from resnet_lightning.studies.runner import Job, list_evaluations, list_jobs, list_weights, run_jobs
from resnet_lightning.tracking import wandb_logger

IMAGENET = f"{ImageNet.__module__.rpartition('.')[0]}.{ImageNet.__name__}"  # as configurations name it
EVALUATIONS = 120  # of a run on ImageNet that does not say when to evaluate
WEIGHTS = "weights"


class CommandLine(LightningCLI):
    """LightningCLI whose runs live in folders of their own and go on where they were interrupted.

    Args:
        arguments: of the command line.
        run: whether to carry out the command; otherwise there is no subcommand and everything is only built.
    """

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
            raise BadInput(f"{self.subcommand} needs --ckpt_path: the checkpoint whose network is to be evaluated")
        if config.trainer.precision is None:
            config.trainer.precision = fastest_safe_precision(str(config.trainer.accelerator))
        if self.subcommand == "fit":
            self._look_into_folder(config)

    def _folder_of(self, configs: list[Any], checkpoint: Path) -> Path:
        """The run that is evaluated: its config.yaml's or its checkpoint's; else one for weights from elsewhere."""
        for folder in (Path(str(path)).parent for path in [*configs[-1:], checkpoint.parent]):
            if (folder / "run.json").exists():
                return folder
        return run_folder(self.experiment, [*self.changes, f"{WEIGHTS}={checkpoint.stem}"], self.seed)

    def _look_into_folder(self, config: Any) -> None:
        self.result = read_json(self.folder / "result.json")
        newest = newest_checkpoint(self.folder / "checkpoints")
        self.config_text = self._parser("fit").dump(config, skip_unset=False)
        if newest or self.result:
            refuse_other_configuration(self.folder, yaml.safe_load(self.config_text))
        if newest and config.ckpt_path is None:
            config.ckpt_path = str(newest)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        trainer: Any = self._get(self.config_init, "trainer")
        trainer.plugins = [*(trainer.plugins or []), AtomicCheckpointIO()]
        trainer.callbacks = [*(trainer.callbacks or [])]
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
                ModelCheckpoint(
                    self.folder / "checkpoints",
                    "iteration={step}",
                    monitor="step",
                    mode="max",
                    save_top_k=2,
                    auto_insert_metric_name=False,
                    every_n_train_steps=self._get(self.config_init, "checkpoint_every"),
                ),
            ]
        else:
            trainer.logger = False
            trainer.enable_checkpointing = False
        return super().instantiate_trainer(**kwargs)

    def fit(self, **arguments: Any) -> None:
        """Trains, measures the test error at the last iteration, and writes result.json."""
        if self.result is not None:
            print(f"{self.folder} is {self.result['state']} already: delete it to run it again")
            return
        try:
            self.model.optimizer(self.model.network.parameters())
        except ValueError as error:
            raise BadInput(f"model.optimizer: {error}") from error
        make_folder(self.folder / "checkpoints")
        if self.trainer.is_global_zero:
            if arguments["ckpt_path"]:
                print(f"going on from {arguments['ckpt_path']}", flush=True)
            print(f"{self.folder}: {self.trainer.max_steps:,} iterations in {self.trainer.precision}", flush=True)
        try:
            self.trainer.fit(**arguments)
            self._finish()
        except SystemExit as error:  # how Lightning ends after Ctrl-C, and, with status 0, after SIGTERM
            print("interrupted: the same command goes on from the last checkpoint", file=sys.stderr)
            sys.exit(143 if isinstance(error, SIGTERMException) else 130)
        except Diverged as error:
            if self.trainer.is_global_zero:
                self.record.finish(self.trainer, self.model, "diverged", error.iteration)
            raise
        finally:
            wandb.finish()

    def _finish(self) -> None:
        iteration = self.trainer.global_step
        last = self.folder / "checkpoints" / f"iteration={iteration}.ckpt"
        if not last.exists():
            self.trainer.save_checkpoint(last)
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
        self._check_count("test", int(values["images"]) + self.datamodule.damaged_images)
        if self.trainer.is_global_zero:
            about = self._about_evaluation(Path(arguments["ckpt_path"]))
            values |= {"images": int(values["images"]), "damaged_images": self.datamodule.damaged_images}
            write_json(
                self.folder / f"test-{self.datamodule.evaluation}.json",
                {**about, **values, "seconds": round(time.monotonic() - start, 1)},
            )

    def predict(self, **arguments: Any) -> None:
        """Writes the class probabilities of evaluated images to predictions-<evaluation>.npy in the run's folder."""
        self.datamodule.prepare_data()
        self.datamodule.setup("predict")
        checkpoint = Path(arguments["ckpt_path"])
        images = self.datamodule.size("test") or self.datamodule.size("val")
        about = self._about_evaluation(checkpoint) | {"sha256": fingerprint(checkpoint)}
        file = PredictionFile(self.folder, about, images)
        self.datamodule.predicted = file.done
        if done := int(file.done.sum()):
            print(f"going on after {done:,} of {images:,} images", flush=True)
        callbacks: list[Any] = self.trainer.callbacks  # type: ignore[attr-defined]
        callbacks.append(file)
        self.trainer.predict(**arguments | {"return_predictions": False})
        print(f"class probabilities of {images:,} images are in {file.path}")

    def _about_evaluation(self, checkpoint: Path) -> dict[str, Any]:
        """What numbers of this evaluation are of; the folder of weights from elsewhere gets its run.json."""
        make_folder(self.folder)
        if not (self.folder / "run.json").exists():
            record = RunRecord(self.folder, self._identity(), "")
            write_json(
                self.folder / "run.json",
                record.describe(self.trainer, self.model) | {WEIGHTS: checkpoint.name, "state": "evaluated"},
            )
        return {
            "evaluation": self.datamodule.evaluation,
            "data": self.datamodule.title,
            "checkpoint": str(checkpoint),
            "bn_batches": self.model.bn_batches,
            "precision": self.trainer.precision,
            "device": device_name(self.trainer.strategy.root_device),
        }

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


def refuse_other_configuration(folder: Path, now: dict[str, Any]) -> None:
    """Raises BadInput if the run in a folder was begun with other settings than those of a configuration."""
    path = folder / "config.yaml"
    if not path.exists():
        return
    check_yaml(path)
    if difference := first_difference(yaml.safe_load(path.read_text()) or {}, now):
        raise BadInput(
            f"{folder} holds a run of another configuration ({difference}): give --run another folder, or move or "
            "delete this one"
        )


def first_difference(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> str | None:
    """The first setting, in words, in which two configurations differ, but for where and how a run is carried out."""
    for name in sorted(before.keys() | now.keys()):
        key = f"{prefix}{name}"
        where = NOT_A_CHANGE.fullmatch(key.replace("init_args.", "")) or key == "trainer.precision"
        if where and key != "seed_everything":
            continue
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            if difference := first_difference(old, new, f"{key}."):
                return difference
        elif old != new:
            return f"{key} was {old}, is {new}"
    return None


HELP = """\
usage: resnet-lightning COMMAND ...

  fit, validate, test, predict   one run: --config experiments/cifar10/base.yaml --config experiments/...
  study NAME                     the runs behind a table or figure that are not finished yet, then its report
  report NAME                    tables and figures of the runs that there are, finished or not
  ensemble RUN RUN ...           errors of the averaged probabilities that predict has written
  bench                          images per second, beside a plain training loop
  bench-input                    images per second that are read from files, beside the usual ways

COMMAND --help says more. Studies: {studies}.
"""


def study(arguments: Sequence[str]) -> int:
    """`resnet-lightning study`: runs what is missing, reports, and returns the exit status."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False, allow_abbrev=False, prog="resnet-lightning study")
    parser.add_argument("name", help=f"one of {', '.join(STUDIES)}")
    parser.add_argument("--data", help="folder of the data; the experiments' own by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one run of each experiment per seed")
    parser.add_argument("--steps", type=int, help="shorten every run to so many iterations")
    parser.add_argument("--jobs", type=int, help="runs at the same time; chosen by the device by default")
    parser.add_argument("--only", nargs="+", default=[], help="some experiments of the study, such as resnet20")
    parser.add_argument("--with", nargs="+", default=[], help="configuration files laid over every experiment")
    parser.add_argument("--weights", help="evaluate torchvision's weight files in this folder instead of training")
    options = parser.parse_args(list(arguments))
    if options.jobs is not None and options.jobs < 1:
        raise BadInput(f"JOBS={options.jobs}: expected a number of runs, at least 1")
    chosen = find_study(options.name)
    experiments = choose(chosen, options.only)
    complete = True
    try:
        if options.weights:
            if not chosen.evaluation:
                raise BadInput(f"WEIGHTS={options.weights}: {options.name} tests no networks, so weights are of no use")
            how = (chosen.evaluation, chosen.predict)
            jobs = list_weights(experiments, options.weights, *how, options.data, options["with"])
            complete = run_jobs(jobs, options.jobs)
        elif experiments:
            seeds = list(dict.fromkeys(options.seeds))
            jobs = list_jobs(experiments, seeds, options.data, options.steps, options["with"])
            refuse_before_starting(jobs)
            complete = run_jobs(jobs, options.jobs)
            if chosen.evaluation:
                evaluations = list_evaluations(jobs, chosen.evaluation, chosen.predict, options.data)
                complete = run_jobs(evaluations, options.jobs) and complete
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from the last checkpoints", file=sys.stderr)
        return 130
    report(options.name)
    return 0 if complete else 1


def refuse_before_starting(jobs: Sequence[Job]) -> None:
    """Says once, before anything starts, what is wrong with settings or data; makes the data ready for all runs."""
    first = CommandLine(jobs[0].arguments, run=False)
    first.datamodule.prepare_data()
    first.datamodule.setup("fit")
    for job in jobs:
        if (job.folder / "config.yaml").exists():
            refuse_other_data(job.folder, first.datamodule.title)
            command = CommandLine(job.arguments, run=False)
            now = yaml.safe_load(command.parser.dump(command.config, skip_unset=False))
            refuse_other_configuration(job.folder, now)


def print_ensemble(arguments: Sequence[str]) -> None:
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


def main(args: Sequence[str] | None = None) -> None:
    """Carries out a command line; exits with status 2 and one line if it cannot be carried out as given."""
    arguments = list(sys.argv[1:] if args is None else args)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    torch.set_float32_matmul_precision("high")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # for networks of the user's own, beside the experiments
    try:
        match arguments:
            case [] | ["-h" | "--help", *_]:
                print(HELP.format(studies=", ".join(STUDIES)), end="")
            case ["study", *rest]:
                if status := study(rest):
                    sys.exit(status)
            case ["report", name]:
                report(name)
            case ["report", *_]:
                raise BadInput(f"usage: resnet-lightning report NAME, with one of {', '.join(STUDIES)}")
            case ["ensemble", *rest]:
                print_ensemble(rest)
            case ["bench-input", *rest]:
                jsonargparse.auto_cli(bench_input, args=rest, exit_on_error=False, allow_abbrev=False)
            case ["bench", *rest]:
                jsonargparse.auto_cli(bench, args=rest, exit_on_error=False, allow_abbrev=False)
            case [("fit" | "validate" | "test" | "predict"), *_]:
                CommandLine(arguments)
            case [command, *_]:
                raise BadInput(f"no command is named {command!r}: resnet-lightning --help lists them")
    except KeyboardInterrupt:
        sys.exit(130)
    except Diverged as error:
        print(f"resnet-lightning: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        if not (reason := user_reason(error)):
            raise
        if os.environ.get("LOCAL_RANK", "0") == "0":  # of several processes, one says it
            print("resnet-lightning: " + " ".join(reason.split()), file=sys.stderr)
        sys.exit(2)


def user_reason(error: BaseException | None) -> str | None:
    """What the user gave wrong, if this error, or one that led to it, is about that; None for a fault of ours."""
    if is_disk_full(error) and isinstance(error, OSError):
        return f"no space left on the device to write {error.filename or 'a file'}"
    while error is not None:  # jsonargparse wraps what a constructor raises
        if isinstance(error, BadInput | ArgumentError | MisconfigurationException):
            return str(error)
        error = error.__cause__ or error.__context__
    return None


def check_yaml(path: Path) -> None:
    """Names the file and the place of a mistake in YAML, which jsonargparse does not."""
    try:
        yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not valid YAML: {error}") from error
    except OSError:
        pass  # that is said well when it is parsed
