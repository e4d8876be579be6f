"""Another class in Classifier's place: --model mynet.Mine, which config.yaml keeps as model_class."""

import re
from collections.abc import Sequence
from importlib import import_module

import yaml

from resnet_lightning.errors import BadInput
from resnet_lightning.runs.naming import config_files, split_options
from resnet_lightning.training.module import NetworkModule

MODEL_CLASS = "model_class"
CLASS_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(?<!\.yaml)(?<!\.yml)(?<!\.json)")


def model_class(arguments: Sequence[str]) -> str | None:
    """The class that --model names, or a configuration file by model_class; None for Classifier itself."""
    given = [value for name, value in split_options(arguments) if name == "model" and CLASS_NAME.fullmatch(value)]
    for path in config_files(arguments) if not given else []:
        contents = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
        given += [contents[MODEL_CLASS]] if isinstance(contents, dict) and contents.get(MODEL_CLASS) else []
    return given[-1] if given else None


def without_model_class(arguments: Sequence[str]) -> list[str]:
    """A command line without --model CLASS, which is no option of the parser's."""
    rest: list[str] = []
    for argument in arguments:
        if rest and rest[-1] == "--model" and CLASS_NAME.fullmatch(argument):
            rest.pop()
        elif not (argument.startswith("--model=") and CLASS_NAME.fullmatch(argument.partition("=")[2])):
            rest.append(argument)
    return rest


def import_model(name: str) -> type[NetworkModule]:
    """The class of a full name, such as mynet.Mine; BadInput if it is not there, or trains no network."""
    module, _, wanted = name.rpartition(".")
    try:
        found = getattr(import_module(module), wanted)
    except (ImportError, AttributeError) as error:
        raise BadInput(f"--model {name}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, NetworkModule)):
        raise BadInput(f"--model {name}: expected a subclass of resnet_lightning.training.classifier.Classifier")
    return found
