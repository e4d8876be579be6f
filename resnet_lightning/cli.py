"""The command line: LightningCLI for one run (fit, validate, test, predict), and the studies made of many runs."""

import logging
import os
import sys
import warnings
from argparse import ArgumentError
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import numpy as np
import torch
import wandb
import yaml
from lightning import LightningDataModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import SIGTERMException

from resnet_lightning.benchmark import bench
from resnet_lightning.callbacks import Progress
from resnet_lightning.callbacks.record import RunRecord
from resnet_lightning.checkpoints import AtomicCheckpointIO, is_disk_full, newest_checkpoint
from resnet_lightning.classifier import Classifier
from resnet_lightning.devices import fastest_safe_precision
from resnet_lightning.errors import BadInput, Diverged
from resnet_lightning.metrics_file import MetricsFile
from resnet_lightning.run_folder import (
    NOT_A_CHANGE,
    config_files,
    describe,
    make_folder,
    read_json,
    refuse_other_data,
    run_folder,
)
from resnet_lightning.studies import STUDIES, choose, find_study
from resnet_lightning.studies.report import report
from resnet_lightning.studies.runner import list_jobs, run_jobs
from resnet_lightning.tracking import wandb_logger


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
        source = Path(str(config.config[-1])).parent if config.config else Path()
        if self.subcommand != "fit" and not config.run and (source / "run.json").exists():
            self.folder = source  # evaluated from its own config.yaml
        check_numbers(config)
        checkpoint = config.get("ckpt_path")
        if checkpoint and not Path(checkpoint).is_file():
            raise BadInput(f"ckpt_path {checkpoint}: there is no such file (a run goes on from its own by itself)")
        if self.subcommand in ("validate", "test", "predict") and not checkpoint:
            raise BadInput(f"{self.subcommand} needs --ckpt_path: the checkpoint whose network is to be evaluated")
        if config.trainer.precision is None:
            config.trainer.precision = fastest_safe_precision(str(config.trainer.accelerator))
        if self.subcommand == "fit":
            self._look_into_folder(config)

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
            identity = {"experiment": self.experiment, "changes": self.changes, "seed": self.seed}
            self.record = RunRecord(self.folder, identity, self.config_text)
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
        self.trainer.test(self.model, datamodule=self.datamodule, verbose=False)
        counted, expected = int(self.trainer.callback_metrics["test/images"]), self.datamodule.size("test")
        if counted != expected:
            raise RuntimeError(f"{counted:,} test images were counted instead of {expected:,}")
        if self.trainer.is_global_zero:
            self.result = self.record.finish(self.trainer, self.model, "finished", iteration)
            print(
                f"{self.result['network']} after {iteration:,} iterations on {self.result['data']}: training error "
                f"{self.result['train_error']:.2f} %, test error {self.result['test_error']:.2f} %"
            )

    def predict(self, **arguments: Any) -> None:
        """Writes the class probabilities of the test images to predictions.csv in the run's folder."""
        probabilities = torch.cat(self.trainer.predict(**arguments)).numpy()  # type: ignore[arg-type]
        make_folder(self.folder)
        path = self.folder / "predictions.csv"
        np.savetxt(path, probabilities, fmt="%.6f", delimiter=",")
        print(f"class probabilities of {len(probabilities):,} images are in {path}")


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
  bench                          images per second, beside a plain training loop

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
    options = parser.parse_args(list(arguments))
    if options.jobs is not None and options.jobs < 1:
        raise BadInput(f"JOBS={options.jobs}: expected a number of runs, at least 1")
    experiments = choose(find_study(options.name), options.only)
    seeds = list(dict.fromkeys(options.seeds))
    jobs = list_jobs(experiments, seeds, options.data, options.steps, options["with"])
    # Wrong settings and missing data are said once, before anything starts; the data is made ready for all runs.
    first = CommandLine(jobs[0].arguments, run=False)
    first.datamodule.prepare_data()
    begun = [job for job in jobs if (job.folder / "config.yaml").exists()]
    if begun:
        first.datamodule.setup("fit")
    for job in begun:
        refuse_other_data(job.folder, first.datamodule.title)
        command = CommandLine(job.arguments, run=False)
        refuse_other_configuration(job.folder, yaml.safe_load(command.parser.dump(command.config, skip_unset=False)))
    try:
        complete = run_jobs(jobs, options.jobs)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from the last checkpoints", file=sys.stderr)
        return 130
    report(options.name)
    return 0 if complete else 1


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
