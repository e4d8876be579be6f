"""`new`: writes the file of an experiment that differs from another in a few settings."""

import re
import tempfile
import textwrap
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from resnet_lightning.errors import BadInput
from resnet_lightning.files import write_text
from resnet_lightning.runs.command_line import prepare
from resnet_lightning.runs.experiments import (
    EXPERIMENTS,
    below_experiments,
    experiment_files,
    experiment_name,
    find_file,
    laid_over,
    merged,
    parsed,
)
from resnet_lightning.runs.folder import make_folder
from resnet_lightning.runs.identity import flat, listed, only_watches, settings
from resnet_lightning.runs.naming import name_of, split_options

USAGE = "usage: resnet-lightning new NAME --from EXPERIMENT --SETTING VALUE [--SETTING VALUE ...]"
HELP = f"""\
{USAGE}

Writes an experiment of your own: what another one is, with other values of the settings that you name (fit --help lists
them). Its file is below the folder of the same base.yaml. For example, experiments/cifar10/mine/idea.yaml:

  resnet-lightning new mine/idea --from cifar10/table6/resnet20 --model.network.init_args.shortcut C
"""
NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*")
CALLBACKS = ("trainer.callbacks", "trainer.callbacks+")


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning new`."""
    if {"-h", "--help"} & set(arguments):
        print(HELP, end="")
        return
    name, options = given(arguments)
    origin = experiment_name(dict(split_options(arguments))["from"])
    path = place(name, origin)
    own, changes = leaf(origin, options)
    files = [*experiment_files(origin)[:-1], path]
    text = header(path, files, origin, changes) + yaml.safe_dump(own, default_flow_style=None, sort_keys=False)
    make_folder(path.parent)
    write_text(path, text)
    print(f"written: {path}")
    print(f"  make fit CONFIG={path}")
    print(f"  make compare A={EXPERIMENTS}/{origin}.yaml B={path}")


def given(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The name, and the options that change something, as --name=value.

    Raises:
        BadInput: if the command is not written so, or an option is no part of an experiment.
    """
    names = arguments[:1]
    options = list(split_options(arguments[1:]))
    if not names or names[0].startswith("-") or "from" not in dict(options):
        raise BadInput(USAGE)
    for before, word in pairwise(arguments):
        if not word.startswith("-") and (not before.startswith("-") or "=" in before):
            raise BadInput(
                f"{word!r} belongs to no option: expected a NAME without spaces, and one value each ({USAGE})"
            )
    changes = [(option, value) for option, value in options if option != "from"]
    for option, value in changes:
        if option in ("config", "seed_everything") or only_watches(option, value):
            raise BadInput(f"--{option}: it is no part of an experiment; give it to `fit`, `study` or `compare`")
    if not changes:
        raise BadInput(f"nothing is changed: name a setting and its value, such as --model.network.depth 32 ({USAGE})")
    return below_experiments(names[0]), [f"--{option}={value}" for option, value in changes]


def place(name: str, origin: str) -> Path:
    """The file: below the folder of the base.yaml that the experiment of origin has.

    Raises:
        BadInput: if there is such a file, or the name is none.
    """
    if not NAME.fullmatch(name) or name.rpartition("/")[2] == "base":
        raise BadInput(f"{name!r} is no name of an experiment: expected letters and digits, such as mine/idea")
    *bases, _ = experiment_files(origin)
    if bases and experiment_files(name)[:-1] != bases:
        name = f"{name_of(bases[0])[0].removesuffix('base')}{name}"
    path = Path(EXPERIMENTS, f"{name}.yaml")
    if find_file(path).exists():
        raise BadInput(f"{find_file(path)} exists already: choose another name, or change that file")
    return path


def leaf(origin: str, options: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of the new file, and those in which it differs from its origin: by dotted name, with init_args.

    Raises:
        BadInput: if an option is none, the network or the data cannot be made of it, or nothing changes.
    """
    *bases, file = experiment_files(origin)
    before = [f"--config={path}" for path in (*bases, file)]
    wanted = settings(yaml.safe_load(prepare([*before, *options], watched=False).text))
    changes = changed(settings(yaml.safe_load(prepare(before, watched=False).text)), wanted, options)
    own = merged([file])
    # Another class brings its own options; what the origin's file says counts on where the class has that option too.
    kept = {key: value for key, value in flat(own) if wanted.get(key) == value}
    for key, value in (changes | kept).items():
        own = laid_over(own, nested(key, value))
    # What is written has to be read as what was asked for.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "new.yaml")
        write_text(path, yaml.safe_dump(own))
        read = prepare([*before[:-1], f"--config={path}"], watched=False)
    if settings(yaml.safe_load(read.text)) != wanted:
        raise BadInput(f"{' '.join(options)}: too much for a few lines of YAML; write {EXPERIMENTS}/….yaml by hand")
    return own, changes


def changed(before: dict[str, Any], after: dict[str, Any], options: Sequence[str]) -> dict[str, Any]:
    """The settings that the options change, with init_args; the others of a new class are its defaults.

    Raises:
        BadInput: if there are none.
    """
    named = dict(split_options(options))
    short = {option.replace("init_args.", "").removesuffix(".class_path") for option in named}
    found = {
        key: value
        for key, value in after.items()
        if (key not in before or before[key] != value)
        and key != CALLBACKS[0]
        and key.replace("init_args.", "").removesuffix(".class_path") in short
    }
    if after.get(CALLBACKS[0]) != before.get(CALLBACKS[0]):
        found |= {key: listed(parsed(named[key])) for key in CALLBACKS if key in named}
    if not found:
        raise BadInput(f"{' '.join(options)}: nothing is changed, the experiment has these values already")
    return found


def nested(key: str, value: Any) -> dict[str, Any]:
    """A setting as YAML has it.

    >>> nested("data.batch_size", 64)
    {'data': {'batch_size': 64}}
    """
    for part in reversed(key.split(".")):
        value = {part: value}
    return value  # type: ignore[no-any-return]


def header(path: Path, files: Sequence[Path], origin: str, changes: dict[str, Any]) -> str:
    """What the file is, and its command."""
    words = ", ".join(f"{key.replace('init_args.', '')} {value}" for key, value in changes.items())
    bases = [f"--config {EXPERIMENTS}/{name_of(file)[0]}.yaml" for file in files[:-1]]
    said = f"{path.stem}: {origin} with {words}. No published error; its time is not measured."
    wrapped = textwrap.fill(said, 120, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
    return f"{wrapped}\n#   resnet-lightning fit {' '.join(bases)} --config {path}\n"
