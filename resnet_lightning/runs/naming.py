"""The name of a run: the experiment that a command line runs, and what it changes in it."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from resnet_lightning.runs.experiments import EXPERIMENTS, find_file, merged, parsed
from resnet_lightning.runs.identity import callbacks_of, entry, in_words, listed, not_watching, only_watches


def describe(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The experiment that a command line runs, and what the command line changes in it.

    The experiment is the first configuration file that is not a base.yaml, named from the experiments folder on. Other
    files (by their name) and options (as name=value) after it are changes.

    >>> describe(["--config", "experiments/cifar10/base.yaml", "--config", "experiments/cifar10/table6/resnet20.yaml",
    ...           "--trainer.max_steps=6000", "--trainer.callbacks+=ZeroGradients", "--seed_everything=1"])
    ('cifar10/table6/resnet20', ['callbacks=ZeroGradients', 'max_steps=6000'])
    """
    given = [(name.replace("init_args.", ""), value) for name, value in split_options(arguments) if name != "config"]
    files = config_files(arguments)
    of_files = callbacks_of(merged(files))
    others = not_watching(with_options(of_files, given))
    changed: dict[str, str] = {}
    if others != not_watching(of_files):
        changed["callbacks"] = in_words(others)
    for name, value in given:
        if name == "seed_everything" or name.startswith("trainer.callbacks") or only_watches(name, value, not others):
            continue
        appended = f"{changed[name]}+" if name.endswith("+") and name in changed else ""
        changed[name] = appended + value
    options = [re.sub(r"[/\x00-\x1f]", "_", f"{name.rpartition('.')[2]}={value}") for name, value in changed.items()]
    leaves = [path for path in files if path.stem != "base"]
    if not leaves:
        return "unnamed", sorted(options)
    experiment, before = name_of(leaves[0])
    return experiment, before + sorted(options) + [path.stem for path in leaves[1:]]


def name_of(path: Path) -> tuple[str, list[str]]:
    """The experiment of a configuration file, and the changes in it if the file is a run's own config.yaml."""
    for name in ("run.json", "result.json"):
        if path.name == "config.yaml" and (path.parent / name).is_file():
            with suppress(ValueError, KeyError, TypeError):  # a damaged one is reported by whoever needs it
                run = json.loads((path.parent / name).read_text(encoding="utf-8"))
                return str(run["experiment"]), list(run["changes"])
    parts = path.with_suffix("").parts
    if EXPERIMENTS in parts:
        return "/".join(parts[len(parts) - parts[::-1].index(EXPERIMENTS) :]), []
    with suppress(ValueError):
        parts = path.absolute().with_suffix("").relative_to(Path.cwd()).parts
    # A folder's name tells two files of one name apart.
    return "/".join(part for part in parts[-2:] if part not in ("..", "/")), []


def split_options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and value of each option of a command line, whether written --name=value or --name value."""
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("-"):
            continue
        if not equals and rest and not rest[0].startswith("--"):
            value = rest.pop(0)
        yield ("config" if name == "-c" else name.lstrip("-")), value


def config_files(arguments: Sequence[str]) -> list[Path]:
    """The configuration files of a command line, in order, those of the package where there are none here."""
    return [find_file(Path(value)) for name, value in split_options(arguments) if name == "config" and value]


def with_files_found(arguments: Sequence[str]) -> list[str]:
    """A command line that names the package's experiments where there are none of these names here."""
    found = []
    for word in arguments:
        option, equals, value = word.partition("=") if word.startswith("--config=") else ("", "", word)
        found.append(f"{option}{equals}{find_file(Path(value))}" if value.endswith(".yaml") else word)
    return found


def with_options(callbacks: list[Any], given: Iterable[tuple[str, str]]) -> list[Any]:
    """Callbacks after --trainer.callbacks=…, --trainer.callbacks+=… and --trainer.callbacks.name=…, of the last one."""
    found = [entry(callback) for callback in callbacks]
    for name, value in given:
        if name in ("trainer.callbacks", "trainer.callbacks+"):
            new = [entry(callback) for callback in listed(parsed(value))]
            found = found + new if name.endswith("+") else new
        elif name.startswith("trainer.callbacks.") and found:
            option = name.removeprefix("trainer.callbacks.")
            if option == "class_path":
                found[-1] = entry(value)
            else:
                found[-1]["init_args"] = found[-1]["init_args"] | {option: parsed(value)}
    return found
