"""A command line becomes a prepared run: its settings, name and folder, network and data."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import lightning
from jsonargparse import ActionConfigFile, ArgumentError, Namespace  # type: ignore[attr-defined]
from lightning import LightningDataModule, Trainer, seed_everything
from lightning.pytorch.cli import LightningArgumentParser

from resnet_lightning.compat import option_names, read_configurations_as_utf8
from resnet_lightning.data.protocol import repeatable
from resnet_lightning.errors import BadInput
from resnet_lightning.runs.experiments import experiment_files, is_shipped
from resnet_lightning.runs.folder import check_yaml, run_folder
from resnet_lightning.runs.identity import configuration_hash, listed
from resnet_lightning.runs.misspelt import explain
from resnet_lightning.runs.model_class import MODEL_CLASS, import_model, model_class, without_model_class
from resnet_lightning.runs.naming import config_files, describe, split_options, with_files_found
from resnet_lightning.runs.resume import precision_of
from resnet_lightning.runs.trainers import check_settings, fill_in
from resnet_lightning.training.classifier import Classifier
from resnet_lightning.training.first_look import is_unfinished, make_lazy_layers
from resnet_lightning.training.module import NetworkModule

EVALUATING = ("validate", "test", "predict")
WEIGHTS = "weights"


@dataclass
class PreparedRun:
    """What a command line asks for, ready to be trained, tested, or only looked at.

    Attributes:
        command: fit, validate, test or predict.
        config: all settings, as values.
        text: the same as YAML, as config.yaml keeps them.
        experiment, changes, seed: its name.
        folder: of the run; nothing has been looked at or made there.
        model, data: the network with its way of training, and the data module.
        settings: of a Trainer, with the callbacks and loggers that the configuration names.
        checkpoint: the file of --ckpt_path.
    """

    command: str
    config: Namespace
    text: str
    experiment: str
    changes: list[str]
    seed: int
    folder: Path
    model: NetworkModule
    data: Any
    settings: dict[str, Any]
    checkpoint: Path | None

    @property
    def identity(self) -> dict[str, Any]:
        return {"experiment": self.experiment, "changes": self.changes, "seed": self.seed}


def prepare(arguments: Sequence[str], command: str = "fit", watched: bool = True) -> PreparedRun:
    """Parses a command line and makes what it names; reads no data and writes nothing.

    Args:
        arguments: of the command line, without the command.
        watched: whether the callbacks and loggers that the configuration names are made too.

    Raises:
        BadInput, ArgumentError: if something given makes no sense.
    """
    if {"data.seed", "data.init_args.seed"} & {name for name, _ in split_options(arguments)}:
        raise BadInput("--data.seed: the seed of everything that is drawn is --seed_everything")
    arguments = with_files_found(arguments)
    experiment, changes = describe(arguments)
    parser, config = parse(arguments, command)
    seed = config.seed_everything
    if not 0 <= int(seed) < 2**32:
        raise BadInput(f"seed_everything {seed}: expected 0 to {2**32 - 1}")
    config.seed_everything = seed_everything(int(seed), workers=True)
    checkpoint = find_checkpoint(config.get("ckpt_path"), command)
    folder = Path(config.run) if config.run else run_folder(experiment, changes, int(seed))
    if checkpoint and command in EVALUATING and "run" not in dict(split_options(arguments)):
        # The configuration of a run that was moved names its old folder.
        others = run_folder(experiment, [*changes, f"{WEIGHTS}={checkpoint.stem}"], int(seed))
        folder = folder_of_weights(config.config or [], checkpoint) or (folder if config.run else others)
    if command == "fit" and config.trainer.precision is None:
        config.trainer.precision = precision_of(folder)
    fill_in(config, arguments)
    check_settings(config, command)
    write_plainly(config.trainer.callbacks)
    text = parser.dump(config, skip_unset=False)
    if not watched:
        config.trainer.callbacks, config.trainer.logger = None, False
    made = make(parser, config)
    return PreparedRun(
        command=command,
        config=config,
        text=text,
        experiment=experiment,
        changes=changes,
        seed=int(seed),
        folder=folder,
        model=made.model,
        data=made.data,
        settings=dict(vars(made.trainer)),
        checkpoint=checkpoint,
    )


def parse(arguments: Sequence[str], command: str) -> tuple[LightningArgumentParser, Namespace]:
    """The settings of a command line, and the parser that knows how to make what they name.

    Raises:
        BadInput, ArgumentError: if something given makes no sense.
    """
    for package in ("lightning.pytorch", "lightning.fabric"):  # whose import has set their levels
        logging.getLogger(package).setLevel(logging.WARNING)
    read_configurations_as_utf8()
    for path in config_files(arguments):
        check_yaml(path)
    model = model_class(arguments)
    parser = make_parser(command, model)
    try:
        given = [*without_model_class(arguments), *([f"--{MODEL_CLASS}={model}"] if model else [])]
        return parser, parser.parse_args(given)
    except ArgumentError as error:
        raise BadInput(explain(error, option_names(parser), arguments)) from error


def make(parser: LightningArgumentParser, config: Namespace) -> Namespace:
    """The objects that a configuration names: model, data, and the Trainer's callbacks and loggers.

    Raises:
        BadInput: if a package is missing, or a network does not fit the data.
    """
    try:
        made: Namespace = parser.instantiate(config)
    except (ImportError, ValueError) as error:
        if missing := package_missing(error):
            raise BadInput(f"a package is missing: {missing}") from error
        raise
    if is_unfinished(made.model.network):
        make_lazy_layers(made.model.network, made.data)
        made.model.arrange_memory()
    repeatable(made.data, int(config.seed_everything))
    return made


def is_as_shipped(run: PreparedRun) -> bool:
    """Whether every setting is that of the experiment's own files, named there or not."""
    if run.changes or not is_shipped(run.text, run.experiment):
        return False
    parser = make_parser("fit")
    shipped = parser.parse_args([f"--config={path}" for path in experiment_files(run.experiment)])
    shipped.seed_everything = run.config.seed_everything
    if "root" in run.config.data.init_args:
        shipped.data.init_args.root = run.config.data.init_args.root
    fill_in(shipped)
    return configuration_hash(parser.dump(shipped, skip_unset=False)) == configuration_hash(run.text)


def make_parser(command: str, model: str | None = None) -> LightningArgumentParser:
    """The options of a command: those of the Trainer, the Classifier, any data module, and of the run itself.

    Args:
        model: the full name of a class in Classifier's place, such as a subclass of it.
    """
    parser = LightningArgumentParser(
        prog=f"{Path(sys.argv[0]).name} {command}",
        description=f"{command}: one run, from configuration files and options",
        dump_header=[f"lightning.pytorch=={lightning.__version__}"],
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("-c", "--config", action=ActionConfigFile, help="Configuration file in YAML; may be repeated.")
    parser.add_argument("--seed_everything", type=bool | int, default=0, help="Seed of everything that is drawn.")
    parser.add_lightning_class_args(Trainer, "trainer")
    parser.add_lightning_class_args(import_model(model) if model else Classifier, "model")
    if model:
        parser.add_argument(f"--{MODEL_CLASS}", type=str, help="A class in Classifier's place: --model CLASS.")
    parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True)
    parser.add_argument(
        "--run", type=str | None, default=None, help="Folder of the run. Default: runs/<experiment>/seed<N>"
    )
    parser.add_argument("--checkpoint_every", type=int, default=500, help="Iterations between two checkpoints.")
    parser.link_arguments("seed_everything", "data.init_args.seed")
    given = {"model", "train_dataloaders", "val_dataloaders", "dataloaders", "datamodule"}
    parser.add_method_arguments(Trainer, command, skip=given)
    return parser


def write_plainly(callbacks: Any) -> None:
    """Defaults of callbacks as YAML can write them; Timer's interval is an enumeration, which it cannot."""
    for callback in listed(callbacks):
        settings = callback.get("init_args") or {}
        for name, value in vars(settings).items() if isinstance(settings, Namespace) else ():
            if isinstance(value, Enum):
                settings[name] = value.value


def package_missing(error: BaseException | None) -> str:
    """What an import said that has led to an error, as of a logger; empty if there was none."""
    while error is not None:
        if isinstance(error, ImportError):
            return str(error)
        error = error.__cause__ or error.__context__
    return ""


def find_checkpoint(given: str | None, command: str) -> Path | None:
    """The file of --ckpt_path, which only `fit` can do without."""
    if given and not Path(given).is_file():
        raise BadInput(f"ckpt_path {given}: there is no such file (a run goes on from its own by itself)")
    if not given and command in EVALUATING:
        raise BadInput("--ckpt_path is missing: the checkpoint whose network is to be evaluated")
    return Path(given) if given else None


def folder_of_weights(configs: Sequence[Any], checkpoint: Path) -> Path | None:
    """The run that is evaluated: its config.yaml's or its checkpoint's; None for weights from elsewhere."""
    candidates = [Path(str(path)).parent for path in [*configs[-1:], checkpoint.parent]]
    folders = [folder for folder in candidates if (folder / "run.json").exists()]
    if len({folder.resolve() for folder in folders}) > 1:
        raise BadInput(f"{checkpoint} is of the run in {folders[1]}, not of {folders[0]}: give its own config.yaml")
    return folders[0] if folders else None
